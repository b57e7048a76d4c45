from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Uuid, any_, func, literal, literal_column, select, tuple_, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import searching
from vps_service.accounts.models import User
from vps_service.followers.errors import TeacherNotFound
from vps_service.followers.models import Follow, Teacher
from vps_service.profiles.models import Profile

SEARCHED: ColumnElement[str] = literal_column("lower(users.name || ' ' || users.username)")
"""As a migration wrote it into the index ix_users_teachers_by_name, where PostgreSQL has pg_trgm. Which letters but
A to Z are alike in capitals, the database's locale says."""

IS_ACTIVE_TEACHER = (User.role == literal("teacher", literal_execute=True), User.state == "active")


@dataclass(frozen=True)
class ShownTeacher:
    """What a teacher is shown by; `followed_at` by the one who looks, where that was asked."""

    user: User
    teacher: Teacher
    profile: Profile
    followed_at: datetime | None = None


async def teacher_named(session: AsyncSession, username: str, *, banned_too: bool = False) -> Teacher | None:
    wanted = select(Teacher).join(User, User.id == Teacher.user_id)
    wanted = wanted.where(User.username == username.lower(), User.role == "teacher")
    if not banned_too:
        wanted = wanted.where(User.state == "active")
    return (await session.scalars(wanted)).one_or_none()


async def locked_teacher(session: AsyncSession, user_id: UUID) -> Teacher | None:
    """Not FOR UPDATE: that would wait for, and deadlock with, the share locks that new follows hold on this row."""
    wanted = select(Teacher).where(Teacher.user_id == user_id).with_for_update(key_share=True)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def lock_teachers(session: AsyncSession, user_ids: Collection[UUID]) -> None:
    """As `locked_teacher`, in the order of their ids: of two who lock several, one waits for the other."""
    wanted = select(Teacher.user_id).where(_among(user_ids)).order_by(Teacher.user_id)
    await session.execute(wanted.with_for_update(key_share=True))


async def count_followers(session: AsyncSession, teacher_ids: Collection[UUID]) -> Sequence[Teacher]:
    """Of teachers who are locked: each has the count of now afterwards."""
    count = select(func.count()).select_from(Follow).where(Follow.teacher_id == Teacher.user_id, Follow.counts)
    counted = update(Teacher).where(_among(teacher_ids)).values(followers=count.scalar_subquery()).returning(Teacher)
    fresh = counted.execution_options(synchronize_session=False, populate_existing=True)
    return (await session.scalars(fresh)).all()


def _among(user_ids: Collection[UUID]) -> ColumnElement[bool]:
    """In one value: a statement has room for 65,535."""
    return Teacher.user_id == any_(literal(list(user_ids), ARRAY(Uuid)))


def _active_teachers() -> Select[User, Teacher, Profile]:
    return (
        select(User, Teacher, Profile)
        .select_from(Teacher)
        .join(User, User.id == Teacher.user_id)
        .outerjoin(Profile, Profile.user_id == Teacher.user_id)
        .where(*IS_ACTIVE_TEACHER)
    )


def _shown(user: User, teacher: Teacher, profile: Profile | None, followed_at: datetime | None = None) -> ShownTeacher:
    return ShownTeacher(user, teacher, profile or Profile.of_nothing(user.id), followed_at)


async def directory(
    session: AsyncSession, *, q: str | None, after: tuple[int, UUID] | None, limit: int
) -> Sequence[ShownTeacher]:
    """Those with most followers first; one more than `limit`. `q` is part of the name or the username."""
    wanted, place = _active_teachers(), (Teacher.followers, Teacher.user_id)
    if after:
        wanted = wanted.where(tuple_(*place) < after)
    wanted = wanted.order_by(*(column.desc() for column in place))
    if q:
        listed = wanted.with_only_columns(*place, maintain_column_froms=True)
        fits, indexed = searching.has(SEARCHED, q), searching.is_indexed(q)
        found = await searching.first_with(session, listed, _places(after), fits, limit + 1, indexed=indexed)
        wanted = wanted.where(_among([user_id for _, user_id in found]))
    return [_shown(*row) for row in await session.execute(wanted.limit(limit + 1))]


def _places(after: tuple[int, UUID] | None) -> Select[int, UUID]:
    """In the directory, of active teachers."""
    # Each by itself: PostgreSQL takes few letters for common ones, and would read all teachers rather than ask for two.
    followers = select(Teacher.followers).where(Teacher.user_id == User.id).scalar_subquery()
    wanted = select(followers, User.id).where(*IS_ACTIVE_TEACHER)
    return wanted.where(tuple_(followers, User.id) < after) if after else wanted


async def shown_teacher(session: AsyncSession, username: str, viewer: User | None) -> ShownTeacher:
    """An active teacher. Raises TeacherNotFound."""
    found = (await session.execute(_active_teachers().where(User.username == username.lower()))).one_or_none()
    if found is None:
        raise TeacherNotFound
    user, teacher, profile = found
    followed = await session.get(Follow, (user.id, viewer.id)) if viewer else None
    return _shown(user, teacher, profile, followed.created_at if followed else None)


async def following(
    session: AsyncSession, follower: User, *, after: tuple[datetime, UUID] | None, limit: int
) -> Sequence[ShownTeacher]:
    """Whom this user follows, the last one first; one more than `limit`."""
    wanted = _active_teachers().add_columns(Follow.created_at).join(Follow, Follow.teacher_id == Teacher.user_id)
    wanted = wanted.where(Follow.follower_id == follower.id)
    if after:
        wanted = wanted.where(tuple_(Follow.created_at, Follow.teacher_id) < after)
    ordered = wanted.order_by(Follow.created_at.desc(), Follow.teacher_id.desc()).limit(limit + 1)
    return [_shown(*row) for row in await session.execute(ordered)]
