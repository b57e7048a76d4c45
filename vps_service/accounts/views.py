"""How accounts are shown."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import SignIn, User
from vps_service.accounts.schemas import CourseBrief, ImageOut, SessionOut, TeacherOut, UserOut
from vps_service.courses.queries import courses_of
from vps_service.followers.models import Teacher
from vps_service.payments.ledger import balance
from vps_service.settings import VpsSettings


def image_of(user: User, settings: VpsSettings) -> ImageOut | None:
    """Where the user's picture is, in each size."""
    if user.image_id is None:
        return None
    address = f"{settings.vps_url}/api/images/{user.image_id}"
    return ImageOut(square=f"{address}/square", thumbnail=f"{address}/thumbnail")


async def own_view(session: AsyncSession, user: User, settings: VpsSettings) -> TeacherOut | UserOut:
    """The user's view of themselves; a teacher's has their standing."""
    shown = UserOut(
        id=user.id,
        role=user.role,
        name=user.name,
        username=user.username,
        email=user.email,
        phone=user.phone,
        image=image_of(user, settings),
        created_at=user.created_at,
    )
    if not user.has_role("teacher"):
        return shown
    teacher = await session.get_one(Teacher, user.id)
    courses = await courses_of(session, user.id)
    return TeacherOut(
        **shown.__dict__,
        followers=teacher.followers,
        balance=await balance(session, user.id, settings.currency),
        verified=teacher.is_verified,
        courses=[CourseBrief.model_validate(course) for course in courses],
    )


def session_view(row: SignIn, current: UUID | None) -> SessionOut:
    """To whom the session belongs, whose request is of the `current` one."""
    return SessionOut(
        id=row.id,
        device=row.device,
        address=row.address,
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        is_current=row.id == current,
    )
