"""How accounts are shown."""

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.accounts.schemas import CourseBrief, ImageOut, TeacherOut, UserOut
from vps_service.courses.queries import courses_of
from vps_service.followers.models import Teacher
from vps_service.payments.ledger import balance
from vps_service.settings import VpsSettings


async def own_view(session: AsyncSession, user: User, settings: VpsSettings) -> TeacherOut | UserOut:
    """The user's view of themselves; a teacher's has their standing."""
    address = f"{settings.vps_url}/api/images/{user.image_id}"
    shown = UserOut(
        id=user.id,
        role=user.role,
        name=user.name,
        username=user.username,
        email=user.email,
        phone=user.phone,
        image=ImageOut(square=f"{address}/square", thumbnail=f"{address}/thumbnail") if user.image_id else None,
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
