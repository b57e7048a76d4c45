"""What people do about how they sign in: the password, the e-mail address, the second factor."""

from fastapi import APIRouter

from shared.problems import Invalid, NotAuthenticated, responses
from vps_service.accounts import attempts, contacts, errors, new_passwords, totp
from vps_service.accounts.current import CurrentSession, CurrentUser, EnrollingSession, EnrollingUser
from vps_service.accounts.schemas import (
    BothAgain,
    EmailWanted,
    OnItsWay,
    PasswordAgain,
    PasswordChange,
    RecoveryCodes,
    TotpConfirmation,
    TotpEnrolment,
    VerifyEmail,
)
from vps_service.accounts.totp import SecondFactor
from vps_service.db import Session, Transactions
from vps_service.limits.errors import TooManyRequests
from vps_service.vps import CurrentVps

router = APIRouter()

WITH_BOTH = (
    NotAuthenticated,
    errors.WrongPassword,
    errors.TotpOff,
    errors.SecondFactorRequired,
    errors.WrongSecondFactor,
    TooManyRequests,
    errors.TooManyPasswords,
)
"""What is answered where the password and the second factor are asked for again."""


@router.post(
    "/auth/change-password",
    status_code=204,
    summary="Choose another password",
    responses=responses(NotAuthenticated, errors.WrongPassword, Invalid, TooManyRequests, errors.TooManyPasswords),
)
async def change_password(
    body: PasswordChange, user: CurrentUser, current: CurrentSession, sessions: Transactions, vps: CurrentVps
) -> None:
    """Everybody else who is signed in to the account is signed out; this session goes on."""
    given = (body.old_password, body.new_password)
    await new_passwords.change_password(sessions, vps.hasher, user, current, *given)


@router.post(
    "/users/me/email",
    status_code=202,
    summary="Ask for another e-mail address",
    responses=responses(
        NotAuthenticated, errors.WrongPassword, errors.AlreadyVerified, TooManyRequests, errors.TooManyPasswords
    ),
)
async def ask_for_email(body: EmailWanted, user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> OnItsWay:
    """A link goes to the new address; the present one stays until it is followed, and is told then."""
    await attempts.count_mail(sessions, vps.settings)
    await contacts.ask_for_email(sessions, vps.settings, vps.hasher, user, body.password, body.new_email)
    return OnItsWay()


@router.post(
    "/auth/change-email",
    status_code=204,
    summary="Prove a new e-mail address by the link that was sent there",
    responses=responses(errors.LinkNotValid, errors.AlreadyTaken),
)
async def change_email(body: VerifyEmail, sessions: Transactions, vps: CurrentVps) -> None:
    """It is the account's from now on, and confirmed. Nobody has to be signed in: the link may be opened elsewhere."""
    await contacts.change_email(sessions, body.token, vps.settings.followers_required)


@router.post(
    "/auth/totp",
    status_code=201,
    summary="Enrol a second factor",
    responses=responses(
        NotAuthenticated, errors.WrongPassword, errors.TotpAlreadyOn, TooManyRequests, errors.TooManyPasswords
    ),
)
async def enrol_totp(
    body: PasswordAgain, user: EnrollingUser, sessions: Transactions, vps: CurrentVps
) -> TotpEnrolment:
    """A secret for an authenticator app (RFC 6238). It is asked for at sign-in once its first code was confirmed."""
    made = await totp.enrol(sessions, vps.hasher, vps.codes_key, user, body.password)
    return TotpEnrolment.model_validate(made)


@router.post(
    "/auth/totp/confirm",
    summary="Switch the second factor on, by a code",
    responses=responses(NotAuthenticated, errors.TotpAlreadyOn, errors.TotpNotBegun, errors.WrongCode, TooManyRequests),
)
async def confirm_totp(
    body: TotpConfirmation,
    user: EnrollingUser,
    current: EnrollingSession,
    session: Session,
    sessions: Transactions,
    vps: CurrentVps,
) -> RecoveryCodes:
    """From now on the password alone signs nobody in. The recovery codes are shown this once."""
    await totp.count_confirmation(sessions, user)
    return RecoveryCodes(recovery_codes=await totp.confirm(session, vps.codes_key, user, current, body.code))


@router.post(
    "/auth/totp/recovery-codes",
    summary="Make new recovery codes",
    responses=responses(*WITH_BOTH),
)
async def replace_recovery_codes(
    body: BothAgain, user: CurrentUser, sessions: Transactions, vps: CurrentVps
) -> RecoveryCodes:
    """By the password and the second factor. The old ones are void. The new ones are shown this once."""
    second = SecondFactor(vps.codes_key, body.totp, body.recovery_code)
    codes = await totp.replace_recovery_codes(sessions, vps.hasher, user, body.password, second)
    return RecoveryCodes(recovery_codes=codes)


@router.post(
    "/auth/totp/remove",
    status_code=204,
    summary="Remove the second factor",
    responses=responses(*WITH_BOTH),
)
async def remove_totp(body: BothAgain, user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> None:
    """By the password and the second factor. Its recovery codes go too. An admin of an installation that wants one can
    then do nothing but enrol again.
    """
    second = SecondFactor(vps.codes_key, body.totp, body.recovery_code)
    await totp.remove(sessions, vps.hasher, user, body.password, second)
