from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import JWKS, Jwks
from shared.problems import Invalid, NotAuthenticated, NotFound, TooLarge, responses
from shared.tokens import public_jwk, sign_access
from vps_service.accounts import actions
from vps_service.accounts.current import CurrentUser
from vps_service.accounts.images import MEDIA_TYPE, NotAnImage
from vps_service.accounts.models import User
from vps_service.accounts.schemas import (
    AuthOut,
    CourseBrief,
    ImageOut,
    Login,
    Refresh,
    RegisterStudent,
    RegisterTeacher,
    TeacherOut,
    UserOut,
)
from vps_service.courses.queries import courses_of
from vps_service.db import Session, Sessions, Transactions
from vps_service.followers.models import Teacher
from vps_service.payments.ledger import balance

router = APIRouter(prefix="/api", tags=["accounts"])
public = APIRouter(tags=["accounts"])


class ImageNotFound(NotFound):
    code, title = "image_not_found", "There is no such image"


async def user_out(request: Request, session: AsyncSession, user: User) -> TeacherOut | UserOut:
    """The user's own view of themselves; a teacher's has their standing."""
    base = f"{request.app.state.settings.vps_url}/api/images/{user.image_id}"
    image = ImageOut(square=f"{base}/square", thumbnail=f"{base}/thumbnail") if user.image_id else None
    shown = {
        column.key: getattr(user, column.key) for column in User.__table__.columns if column.key in UserOut.model_fields
    }
    shown["image"] = image
    if user.role != "teacher":
        return UserOut.model_validate(shown)
    teacher = await session.get_one(Teacher, user.id)
    return TeacherOut.model_validate(
        {
            **shown,
            "followers": teacher.followers,
            "verified": teacher.is_verified,
            "balance": await balance(session, user.id, request.app.state.settings.currency),
            "courses": [CourseBrief.model_validate(course) for course in await courses_of(session, user.id)],
        }
    )


async def signed_in(request: Request, sessions: Sessions, user: User, refresh_token: str | None = None) -> AuthOut:
    """The answer to everything that signs somebody in."""
    settings = request.app.state.settings
    async with sessions() as session, session.begin():
        token = refresh_token or await actions.issue_refresh_token(session, user, settings.refresh_token_s)
        shown = await user_out(request, session, user)
    access = sign_access(settings.access_key, user.id, user.username, user.role, settings.access_token_s)
    return AuthOut(user=shown, access_token=access, refresh_token=token, expires_in=settings.access_token_s)


@router.post(
    "/auth/register",
    status_code=201,
    summary="Register as a student",
    responses=responses(actions.AlreadyTaken, Invalid),
)
async def register(body: RegisterStudent, sessions: Transactions, request: Request) -> AuthOut:
    user = await actions.register(sessions, request.app.state.hasher, role="student", **body.model_dump())
    return await signed_in(request, sessions, user)


@router.post(
    "/auth/register/teacher",
    status_code=201,
    summary="Register as a teacher",
    responses=responses(actions.AlreadyTaken, NotAnImage, TooLarge),
)
async def register_teacher(
    form: Annotated[RegisterTeacher, Form(media_type="multipart/form-data")],
    sessions: Transactions,
    request: Request,
) -> AuthOut:
    """The image is decoded, cropped square and stored anew in two sizes; nothing of the file itself is kept."""
    state = request.app.state
    user = await actions.register_teacher(
        sessions,
        state.hasher,
        state.images,
        raw_image=await form.image.read(),
        max_pixels=state.settings.image_pixels,
        **form.model_dump(exclude={"image"}),
    )
    return await signed_in(request, sessions, user)


@router.post("/auth/login", summary="Sign in", responses=responses(actions.BadCredentials))
async def login(body: Login, sessions: Transactions, request: Request) -> AuthOut:
    """`login` is the username, the e-mail or the phone."""
    user = await actions.authenticate(sessions, request.app.state.hasher, body.login, body.password)
    return await signed_in(request, sessions, user)


@router.post("/auth/refresh", summary="Get new tokens", responses=responses(actions.BadRefreshToken))
async def refresh(body: Refresh, sessions: Transactions, request: Request) -> AuthOut:
    """The old refresh token is spent; spending it twice signs out everybody who holds one of its family."""
    life_s: int = request.app.state.settings.refresh_token_s
    user, token = await actions.rotate_refresh_token(sessions, body.refresh_token, life_s)
    return await signed_in(request, sessions, user, token)


@router.post("/auth/logout", status_code=204, summary="Sign out", responses=responses())
async def logout(body: Refresh, session: Session) -> None:
    """Ends the refresh token's family; always 204."""
    await actions.sign_out(session, body.refresh_token)


@router.get("/auth/me", summary="Who am I", responses=responses(NotAuthenticated))
async def me(user: CurrentUser, session: Session, request: Request) -> TeacherOut | UserOut:
    return await user_out(request, session, user)


@router.get(
    "/images/{image_id}/{size}",
    summary="A profile image",
    response_class=FileResponse,
    responses={**responses(ImageNotFound), 200: {"content": {MEDIA_TYPE: {}}}},
)
async def image(image_id: UUID, size: Literal["square", "thumbnail"], request: Request) -> FileResponse:
    path = request.app.state.images.path(image_id, size)
    if not path.is_file():
        raise ImageNotFound
    return FileResponse(
        path,
        media_type=MEDIA_TYPE,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "public, max-age=31536000, immutable"},
    )


@public.get(JWKS, summary="Public keys of access tokens (RFC 7517)")
async def jwks(request: Request) -> Jwks:
    return Jwks(keys=[public_jwk(key) for key in request.app.state.access_keys.values()])
