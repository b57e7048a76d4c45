"""How accounts are shown."""

from uuid import UUID

from shared.schemas import Money
from vps_service.accounts.models import SignIn, User
from vps_service.accounts.schemas import CourseBrief, ImageOut, SessionOut, TeacherOut, UserOut
from vps_service.accounts.standing import Standing, standing
from vps_service.db import Sessions
from vps_service.settings import VpsSettings


def image_of(user: User, settings: VpsSettings) -> ImageOut | None:
    """Where the user's picture is, in each size."""
    if user.image_id is None:
        return None
    address = f"{settings.vps_url}/api/images/{user.image_id}"
    return ImageOut(square=f"{address}/square", thumbnail=f"{address}/thumbnail")


async def own_view(
    sessions: Sessions, user: User, settings: VpsSettings, known: Standing | None = None
) -> TeacherOut | UserOut:
    """The user's view of themselves; a teacher's has their standing, which is asked for unless it is `known`."""
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
    followers, verified, owed, courses = known or await standing(sessions, user.id, settings.currency)
    return TeacherOut(
        **shown.__dict__,
        followers=followers,
        balance=Money(amount=owed, currency=settings.currency),
        verified=verified,
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
