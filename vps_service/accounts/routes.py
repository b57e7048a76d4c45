from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form
from fastapi.responses import FileResponse

from shared.contract import JWKS, Jwks
from shared.problems import Invalid, NotAuthenticated, TooLarge, responses
from shared.tokens import public_jwk, sign_access
from vps_service.accounts import actions, errors
from vps_service.accounts import sessions as signing
from vps_service.accounts.current import CurrentUser
from vps_service.accounts.images import MEDIA_TYPE
from vps_service.accounts.models import User
from vps_service.accounts.schemas import (
    AuthOut,
    Login,
    Refresh,
    RegisterStudent,
    RegisterTeacher,
    TeacherOut,
    UserOut,
)
from vps_service.accounts.views import own_view
from vps_service.db import Session, Sessions, Transactions
from vps_service.vps import CurrentVps, Vps

router = APIRouter(prefix="/api", tags=["accounts"])
public = APIRouter(tags=["accounts"])


async def signed_in(vps: Vps, sessions: Sessions, user: User, refresh_token: str) -> AuthOut:
    """The answer to everything that signs somebody in."""
    settings = vps.settings
    async with sessions() as session:
        shown = await own_view(session, user, settings)
    access = sign_access(
        settings.access_key,
        user.id,
        user.username,
        user.role,
        settings.access_token_s,
        generation=user.generation,
    )
    return AuthOut(user=shown, access_token=access, refresh_token=refresh_token, expires_in=settings.access_token_s)


@router.post(
    "/auth/register",
    status_code=201,
    summary="Register as a student",
    responses=responses(errors.AlreadyTaken, Invalid),
)
async def register(body: RegisterStudent, sessions: Transactions, vps: CurrentVps) -> AuthOut:
    user = await actions.new_user(vps.hasher, role="student", **body.model_dump())
    token = await actions.sign_up(sessions, user, vps.settings.refresh_token_s)
    return await signed_in(vps, sessions, user, token)


@router.post(
    "/auth/register/teacher",
    status_code=201,
    summary="Register as a teacher",
    responses=responses(errors.AlreadyTaken, errors.NotAnImage, TooLarge),
)
async def register_teacher(
    form: Annotated[RegisterTeacher, Form(media_type="multipart/form-data")], sessions: Transactions, vps: CurrentVps
) -> AuthOut:
    """The image is decoded, cropped square and stored anew in two sizes; nothing of the file itself is kept."""
    user = await actions.new_user(vps.hasher, role="teacher", **form.model_dump(exclude={"image"}))
    token = await actions.sign_up_teacher(
        sessions,
        vps.images,
        user,
        await form.image.read(),
        max_pixels=vps.settings.image_pixels,
        refresh_life_s=vps.settings.refresh_token_s,
    )
    return await signed_in(vps, sessions, user, token)


@router.post("/auth/login", summary="Sign in", responses=responses(errors.BadCredentials))
async def login(body: Login, sessions: Transactions, vps: CurrentVps) -> AuthOut:
    """`login` is the username, the e-mail or the phone."""
    life_s = vps.settings.refresh_token_s
    user, token = await signing.sign_in(sessions, vps.hasher, body.login, body.password, life_s)
    return await signed_in(vps, sessions, user, token)


@router.post("/auth/refresh", summary="Get new tokens", responses=responses(errors.BadRefreshToken))
async def refresh(body: Refresh, sessions: Transactions, vps: CurrentVps) -> AuthOut:
    """The old refresh token is spent; spending it twice signs out everybody who holds one of its family."""
    user, token = await signing.rotate_refresh_token(sessions, body.refresh_token, vps.settings.refresh_token_s)
    return await signed_in(vps, sessions, user, token)


@router.post("/auth/logout", status_code=204, summary="Sign out", responses=responses())
async def logout(body: Refresh, session: Session) -> None:
    """Ends the refresh token's family; always 204."""
    await signing.sign_out(session, body.refresh_token)


@router.delete("/auth/sessions", status_code=204, summary="Sign out everywhere", responses=responses(NotAuthenticated))
async def sign_out_everywhere(user: CurrentUser, session: Session) -> None:
    """Every access and refresh token of this account is void at once, the one of this request too."""
    await signing.sign_out_everywhere(session, user)


@router.get("/auth/me", summary="Who am I", responses=responses(NotAuthenticated))
async def me(user: CurrentUser, session: Session, vps: CurrentVps) -> TeacherOut | UserOut:
    return await own_view(session, user, vps.settings)


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
