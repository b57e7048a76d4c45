from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from vps_service.accounts import errors as accounts
from vps_service.accounts.current import CurrentUser
from vps_service.accounts.schemas import TeacherOut, UserOut
from vps_service.accounts.views import own_view
from vps_service.db import Transactions
from vps_service.limits.errors import TooManyRequests
from vps_service.phones import actions, errors
from vps_service.phones.actions import Phones
from vps_service.phones.schemas import CodeEntered, CodeSent, PhoneWanted
from vps_service.vps import CurrentVps, Vps

router = APIRouter(prefix="/api", tags=["accounts"])


def offered_phones(vps: Vps) -> Phones:
    """Raises PhonesNotOffered."""
    if vps.phones is None:
        raise errors.PhonesNotOffered
    return Phones(vps.phones, vps.codes_key)


@router.post(
    "/auth/verify-phone/send",
    status_code=202,
    summary="Have a code sent to one's phone",
    responses=responses(
        NotAuthenticated,
        errors.PhonesNotOffered,
        errors.NoPhone,
        errors.PhoneAlreadyVerified,
        TooManyRequests,
        errors.PhoneProviderUnreachable,
    ),
)
async def send_code(user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> CodeSent:
    """Six digits, for ten minutes; an earlier code is void."""
    return CodeSent.model_validate(await actions.send_code(sessions, offered_phones(vps), user))


@router.post(
    "/auth/verify-phone",
    summary="Enter the code that was sent to a phone",
    responses=responses(
        NotAuthenticated, errors.PhonesNotOffered, errors.NoCode, accounts.WrongCode, accounts.AlreadyTaken
    ),
)
async def enter_code(
    entered: CodeEntered, user: CurrentUser, sessions: Transactions, vps: CurrentVps
) -> TeacherOut | UserOut:
    """Verifies the phone, and makes it the account's when it is to replace another. A code may be tried five times."""
    phones, required = offered_phones(vps), vps.settings.followers_required
    now = await actions.enter_code(sessions, phones, user, entered.code, required)
    return await own_view(sessions, now, vps.settings)


@router.post(
    "/users/me/phone",
    status_code=202,
    summary="Ask for another phone",
    responses=responses(
        NotAuthenticated,
        accounts.WrongPassword,
        errors.PhonesNotOffered,
        errors.PhoneAlreadyVerified,
        TooManyRequests,
        accounts.TooManyPasswords,
        errors.PhoneProviderUnreachable,
    ),
)
async def ask_for_phone(wanted: PhoneWanted, user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> CodeSent:
    """A code goes to the new phone; the old one stays until it is entered, and is told then."""
    phones = offered_phones(vps)
    sent = await actions.ask_for_phone(sessions, phones, vps.hasher, user, wanted.password, wanted.new_phone)
    return CodeSent.model_validate(sent)
