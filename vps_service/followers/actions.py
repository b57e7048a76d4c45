"""Following, being followed by enough, and what an admin says of a teacher.

A count is changed only by the transaction that changes what is counted.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import delete, or_, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from shared.problems import NotAuthenticated
from vps_service import changes
from vps_service.accounts.models import User
from vps_service.accounts.queries import stays_admin, teacher_by_username, unchanging_user
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.followers import queries, rules
from vps_service.followers.errors import CannotFollowOneself, TeacherNotFound
from vps_service.followers.models import Follow, Teacher
from vps_service.mail import actions as mail
from vps_service.profiles.queries import profile_of

ENDED_AT_ONCE = 10_000


async def follow(sessions: Sessions, follower: User, username: str, required: int) -> Teacher:
    """Follow once; following again changes nothing. Reaching `required` verifies in the same transaction.

    Raises TeacherNotFound, CannotFollowOneself, NotAuthenticated for who was banned a moment ago.
    """
    async with sessions() as session, session.begin():
        teacher = await _followable(session, follower, username)
        # As they are until the commit: who is banned or verified meanwhile waits, and then finds this follow.
        now = await unchanging_user(session, follower.id)
        if now is None or not now.is_active:
            raise NotAuthenticated
        row = insert(Follow).values(teacher_id=teacher.user_id, follower_id=now.id, counts=rules.follow_counts(now))
        made = await session.execute(row.on_conflict_do_nothing().returning(Follow.counts))
        return await _after(session, teacher, required, changed=bool(made.scalar_one_or_none()))


async def unfollow(sessions: Sessions, follower: User, username: str, required: int) -> Teacher:
    """Also a teacher who was banned meanwhile. Raises TeacherNotFound, CannotFollowOneself."""
    async with sessions() as session, session.begin():
        teacher = await _followable(session, follower, username, banned_too=True)
        # The follower is not locked, or who does this over and over would keep a ban waiting, which locks this row too.
        gone = delete(Follow).where(Follow.teacher_id == teacher.user_id, Follow.follower_id == follower.id)
        counted = (await session.execute(gone.returning(Follow.counts))).scalar_one_or_none()
        return await _after(session, teacher, required, changed=bool(counted))


async def recount(session: AsyncSession, teacher_id: UUID, required: int) -> Teacher:
    """Raises TeacherNotFound."""
    counted = await _recount_all(session, [teacher_id], required)
    if not counted:
        raise TeacherNotFound
    return counted[0]


async def _recount_all(session: AsyncSession, teacher_ids: Collection[UUID], required: int) -> Sequence[Teacher]:
    """Count again under the teachers' locks: of two follows at once the later one sees the earlier.

    As many statements for a thousand teachers as for one, but for those who become verified.
    """
    await queries.lock_teachers(session, teacher_ids)
    counted = await queries.count_followers(session, teacher_ids)
    for teacher in counted:
        if rules.becomes_verified(teacher, required):
            await _verify(session, teacher)
    await session.flush()
    return counted


async def _verify(session: AsyncSession, teacher: Teacher) -> None:
    """Nodes are told, and so are they, if they have an address that is surely theirs and want to be."""
    teacher.verified_at, teacher.demoted_at = datetime.now(UTC), None
    changes.record(session, "teacher_verified", user_id=teacher.user_id)
    user = await session.get_one(User, teacher.user_id)
    wants_mail = (await profile_of(session, user)).email_notifications
    if user.email and user.email_verified_at and wants_mail:
        await mail.queue(session, to=user.email, template="teacher_verified", language=user.locale or "en")


async def recount_followed(session: AsyncSession, follower: User, required: int) -> None:
    """Whoever bans, activates, confirms or otherwise changes whether a user's follows count calls this, in the same
    transaction and with that user locked, so that no count is ever wrong.

    Teachers are locked in the order of their ids, and always after followers.
    """
    await session.flush()
    counts = rules.follow_counts(follower)
    changed = update(Follow).where(Follow.follower_id == follower.id, Follow.counts.is_not(counts))
    teachers = await session.scalars(changed.values(counts=counts).returning(Follow.teacher_id))
    await _recount_all(session, teachers.all(), required)


async def end_follows(session: AsyncSession, user: User, required: int) -> int:
    """For somebody who leaves for good, locked: some of those whom they follow, and who follow them; how many.

    Until there are none: of somebody known to millions, all at once would take longer than a statement may.
    """
    theirs = or_(Follow.follower_id == user.id, Follow.teacher_id == user.id)
    pair = tuple_(Follow.teacher_id, Follow.follower_id)
    some = select(Follow.teacher_id, Follow.follower_id).where(theirs).limit(ENDED_AT_ONCE)
    gone = (await session.scalars(delete(Follow).where(pair.in_(some)).returning(Follow.teacher_id))).all()
    await _recount_all(session, {*gone}, required)
    return len(gone)


async def verify_teacher(session: AsyncSession, admin: User, username: str) -> Teacher:
    """An admin's word, whatever the count; it takes a demotion back. Raises TeacherNotFound."""
    await stays_admin(session, admin)
    teacher = await _locked(session, username)
    if not teacher.is_verified:
        await _verify(session, teacher)
        await audit.record(session, "teacher_verified", actor_id=admin.id, subject=teacher.user_id)
    await session.flush()
    return teacher


async def demote_teacher(session: AsyncSession, admin: User, username: str) -> Teacher:
    """No longer verified, and not by followers again. Raises TeacherNotFound."""
    await stays_admin(session, admin)
    teacher = await _locked(session, username)
    if teacher.is_verified:
        changes.record(session, "teacher_demoted", user_id=teacher.user_id)
    if not teacher.is_demoted:
        await audit.record(session, "teacher_demoted", actor_id=admin.id, subject=teacher.user_id)
        teacher.verified_at, teacher.demoted_at = None, datetime.now(UTC)
    await session.flush()
    return teacher


async def _locked(session: AsyncSession, username: str) -> Teacher:
    user = await teacher_by_username(session, username, banned_too=True)
    teacher = await queries.locked_teacher(session, user.id) if user else None
    if teacher is None:
        raise TeacherNotFound
    return teacher


async def _after(session: AsyncSession, teacher: Teacher, required: int, *, changed: bool) -> Teacher:
    """The teacher, counted again where that changes anything: what does not waits for nobody's lock."""
    if changed or rules.becomes_verified(teacher, required):
        return await recount(session, teacher.user_id, required)
    return teacher


async def _followable(session: AsyncSession, follower: User, username: str, *, banned_too: bool = False) -> Teacher:
    teacher = await queries.teacher_named(session, username, banned_too=banned_too)
    if teacher is None:
        raise TeacherNotFound
    if teacher.user_id == follower.id:
        raise CannotFollowOneself
    return teacher
