"""What a teacher sees of their own standing, in one statement: it comes with every answer to who somebody is."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import JSON, String, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from shared.tokens import AccessClaims
from vps_service.accounts.models import User
from vps_service.accounts.queries import ASKER, ASKER_IN_SESSION, is_signed_in
from vps_service.courses.models import Course
from vps_service.db import Sessions
from vps_service.followers.models import Teacher
from vps_service.payments.ledger import owed


class Standing(NamedTuple):
    """`owed` in minor units; courses in any state but deleted, newest first, each by its id, title and status."""

    followers: int
    is_verified: bool
    owed: int
    courses: Sequence[dict[str, str]]


_COURSE = func.json_build_object("id", Course.id, "title", Course.title, "status", Course.status)
_COURSES = (
    select(func.coalesce(func.json_agg(aggregate_order_by(_COURSE, Course.id.desc())), literal([], JSON)))
    .where(Course.teacher_id == Teacher.user_id, Course.deleted_at.is_(None))
    .scalar_subquery()
)
_STANDING = (
    Teacher.followers,
    Teacher.verified_at.is_not(None),
    owed(Teacher.user_id, bindparam("currency", type_=String())),
    _COURSES,
)
_OF_TEACHER = select(*_STANDING).where(Teacher.user_id == bindparam("teacher_id"))
_OF_ASKER, _OF_ASKER_IN_SESSION = (
    asker.outerjoin(Teacher, Teacher.user_id == User.id).add_columns(*_STANDING) for asker in (ASKER, ASKER_IN_SESSION)
)


async def standing(sessions: Sessions, teacher_id: UUID, currency: str) -> Standing:
    given = {"teacher_id": teacher_id, "currency": currency}
    return Standing(*(await sessions.ask(lambda session: session.execute(_OF_TEACHER, given))).one())


async def signed_in_teacher(
    session: AsyncSession, asker: AccessClaims, currency: str
) -> tuple[User | None, Standing | None]:
    """As `signed_in_user`, with their standing; none of a user who is no teacher."""
    wanted = _OF_ASKER_IN_SESSION if asker.session_id else _OF_ASKER
    given = {"user_id": asker.user_id, "session_id": asker.session_id, "currency": currency}
    found = (await session.execute(wanted, given)).one_or_none()
    if found is None or not is_signed_in(found[0], asker):
        return None, None
    user, *rest = found
    return user, Standing(*rest) if user.has_role("teacher") else None
