from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import FileResponse

from shared.contract import JWKS, Jwks
from shared.problems import Invalid, NotAuthenticated, TooLarge, responses
from shared.schemas import Page
from shared.tokens import public_jwk, sign_access
from vps_service import paging
from vps_service.accounts import actions, attempts, credentials, errors, proofs, queries
from vps_service.accounts import sessions as signing
from vps_service.accounts.current import CurrentDevice, CurrentSession, CurrentUser
from vps_service.accounts.images import MEDIA_TYPE
from vps_service.accounts.own import OwnAccount
from vps_service.accounts.schemas import (
    AuthOut,
    ForgotPassword,
    Login,
    OnItsWay,
    Refresh,
    RegisterStudent,
    RegisterTeacher,
    ResetPassword,
    SessionOut,
    TeacherOut,
    UserOut,
    VerifyEmail,
)
from vps_service.accounts.sessions import SignedIn
from vps_service.accounts.totp import SecondFactor
from vps_service.accounts.views import own_view, session_view
from vps_service.db import Session, Sessions, Transactions
from vps_service.limits.errors import TooManyRequests
from vps_service.vps import CurrentVps, Vps

router = APIRouter(prefix="/api", tags=["accounts"])
router.include_router(credentials.router)
public = APIRouter(tags=["accounts"])


async def signed_in(vps: Vps, sessions: Sessions, signed: SignedIn) -> AuthOut:
    """The answer to everything that signs somebody in."""
    settings, user = vps.settings, signed.user
    shown = await own_view(sessions, user, settings)
    access = sign_access(
        settings.access_key,
        user.id,
        user.username,
        user.role,
        settings.access_token_s,
        generation=user.generation,
        session_id=signed.session_id,
    )
    return AuthOut(
        user=shown,
        access_token=access,
        refresh_token=signed.refresh_token,
        expires_in=settings.access_token_s,
    )


@router.post(
    "/auth/register",
    status_code=201,
    summary="Register as a student",
    responses=responses(errors.AlreadyTaken, Invalid, TooManyRequests, errors.TooManyPasswords),
)
async def register(body: RegisterStudent, sessions: Transactions, vps: CurrentVps, device: CurrentDevice) -> AuthOut:
    """Only a username can be taken. An e-mail or a phone is the account's once it is proved, and whether another
    account has done so is told to whoever reads what is sent there.
    """
    await attempts.count_registration(sessions, vps.settings)
    user = await actions.new_user(vps.hasher, role="student", **body.model_dump())
    signed = await actions.sign_up(sessions, user, vps.settings, device)
    return await signed_in(vps, sessions, signed)


@router.post(
    "/auth/register/teacher",
    status_code=201,
    summary="Register as a teacher",
    responses=responses(
        errors.AlreadyTaken,
        errors.NotAnImage,
        TooLarge,
        TooManyRequests,
        errors.TooManyPasswords,
        errors.TooManyImages,
    ),
)
async def register_teacher(
    form: Annotated[RegisterTeacher, Form(media_type="multipart/form-data")],
    sessions: Transactions,
    vps: CurrentVps,
    device: CurrentDevice,
) -> AuthOut:
    """The image is decoded, cropped square and stored anew in two sizes; nothing of the file itself is kept.

    Only a username can be taken, as for students.
    """
    await attempts.count_registration(sessions, vps.settings)
    user = await actions.new_user(vps.hasher, role="teacher", **form.model_dump(exclude={"image"}))
    signed = await actions.sign_up_teacher(
        sessions,
        vps.images,
        user,
        await form.image.read(),
        vps.settings,
        device,
    )
    return await signed_in(vps, sessions, signed)


@router.post(
    "/auth/login",
    summary="Sign in",
    responses=responses(
        errors.BadCredentials, errors.TotpRequired, errors.BadTotp, TooManyRequests, errors.TooManyPasswords
    ),
)
async def login(body: Login, sessions: Transactions, vps: CurrentVps, device: CurrentDevice) -> AuthOut:
    """`login` is the username, the e-mail or the phone. Where a second factor is on, its code comes along.

    Several accounts may claim an e-mail or a phone. Two of them are meant, and the password tells which: who has proved
    it, else who claimed it first; and who of the others claimed it last. An account that was tried too often by several
    of its logins refuses the right password as it does a wrong one, for a while.
    Who asked to be deleted takes that back by signing in.
    """
    life_s, required = vps.settings.refresh_token_s, vps.settings.followers_required
    second = SecondFactor(vps.codes_key, body.totp, body.recovery_code)
    with vps.hasher.place():
        async with attempts.counted_login(sessions, vps.settings, body.login) as attempt:
            given = (body.password, second)
            signed = await signing.sign_in(sessions, vps.hasher, attempt, *given, life_s, device, required)
    return await signed_in(vps, sessions, signed)


@router.post("/auth/refresh", summary="Get new tokens", responses=responses(errors.BadRefreshToken, TooManyRequests))
async def refresh(body: Refresh, sessions: Transactions, vps: CurrentVps, device: CurrentDevice) -> AuthOut:
    """The old refresh token is spent, and spending it twice ends the session.

    Whom the answer did not reach may ask once more within 10 seconds, and is given the very same next token.
    """
    await attempts.count_refresh(sessions, vps.settings)
    life_s = vps.settings.refresh_token_s
    signed = await signing.rotate_refresh_token(sessions, body.refresh_token, life_s, device)
    return await signed_in(vps, sessions, signed)


@router.post("/auth/logout", status_code=204, summary="Sign out", responses=responses())
async def logout(body: Refresh, session: Session) -> None:
    """Ends the session that the refresh token is of, its access tokens too; always 204."""
    await signing.sign_out(session, body.refresh_token)


@router.get("/auth/sessions", summary="Where I am signed in", responses=responses(NotAuthenticated))
async def list_sessions(
    user: CurrentUser,
    current: CurrentSession,
    session: Session,
    limit: paging.Limit = 20,
    cursor: paging.Cursor = None,
) -> Page[SessionOut]:
    """The newest first; `is_current` is the one of this request."""
    rows = await queries.sign_ins_of(session, user.id, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, lambda row: session_view(row, current))


@router.delete(
    "/auth/sessions/{session_id}",
    status_code=204,
    summary="Sign out on one device",
    responses=responses(NotAuthenticated, errors.SessionNotFound),
)
async def end_session(session_id: UUID, user: CurrentUser, session: Session) -> None:
    """Its tokens are void at once; nodes end within 2 seconds what is watched with them."""
    await signing.end_own_session(session, user, session_id)


@router.delete("/auth/sessions", status_code=204, summary="Sign out everywhere", responses=responses(NotAuthenticated))
async def sign_out_everywhere(user: CurrentUser, session: Session) -> None:
    """Every access and refresh token of this account is void at once, the one of this request too."""
    await signing.sign_out_everywhere(session, user)


@router.get("/auth/me", summary="Who am I", responses=responses(NotAuthenticated))
async def me(own: OwnAccount, sessions: Transactions, vps: CurrentVps) -> TeacherOut | UserOut:
    return await own_view(sessions, own.user, vps.settings, own.standing)


@router.post(
    "/auth/verify-email",
    status_code=204,
    summary="Confirm an e-mail address by the link that was sent there",
    responses=responses(errors.LinkNotValid, errors.AlreadyTaken),
)
async def verify_email(body: VerifyEmail, sessions: Transactions, vps: CurrentVps) -> None:
    """From now on the account's follows count. Nobody has to be signed in: the link may be opened elsewhere."""
    await proofs.verify_email(sessions, body.token, vps.settings.followers_required)


@router.post(
    "/auth/verify-email/resend",
    status_code=202,
    summary="Have another link sent",
    responses=responses(NotAuthenticated, errors.NoEmail, errors.AlreadyVerified, TooManyRequests),
)
async def resend_verification(user: CurrentUser, session: Session, sessions: Transactions, vps: CurrentVps) -> OnItsWay:
    """The links before it are void."""
    await attempts.count_mail(sessions, vps.settings)
    await proofs.mail_verification_again(session, vps.settings, user)
    return OnItsWay()


@router.post(
    "/auth/forgot-password",
    status_code=202,
    summary="Ask for a link to choose a new password",
    responses=responses(TooManyRequests),
)
async def forgot_password(body: ForgotPassword, session: Session, sessions: Transactions, vps: CurrentVps) -> OnItsWay:
    """202 whether or not anybody has this login. An address that is not proved may get a link for each of two accounts
    that claim it; the letters name them.
    """
    await attempts.count_mail(sessions, vps.settings)
    await proofs.note_forgotten(session, body.login)
    return OnItsWay()


@router.post(
    "/auth/reset-password",
    status_code=204,
    summary="Choose a new password by the link that was sent",
    responses=responses(errors.LinkNotValid, errors.AlreadyTaken, Invalid, TooManyRequests, errors.TooManyPasswords),
)
async def reset_password(body: ResetPassword, sessions: Transactions, vps: CurrentVps) -> None:
    """Everybody who was signed in to the account is signed out. A password that is refused does not spend the link."""
    await proofs.reset_password(sessions, vps.settings, vps.hasher, body.token, body.password)


@router.get(
    "/images/{image_id}/{size}",
    summary="A profile image",
    response_class=FileResponse,
    responses={**responses(errors.ImageNotFound), 200: {"content": {MEDIA_TYPE: {}}}},
)
async def image(image_id: UUID, size: Literal["square", "thumbnail"], vps: CurrentVps) -> FileResponse:
    path = vps.images.path(image_id, size)
    if not path.is_file():
        raise errors.ImageNotFound
    return FileResponse(
        path,
        media_type=MEDIA_TYPE,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=31536000, immutable"},
    )


@public.get(JWKS, summary="Public keys of access tokens (RFC 7517)")
async def jwks(vps: CurrentVps) -> Jwks:
    return Jwks(keys=[public_jwk(key) for key in vps.access_keys.values()])
