"""Comparing what a node holds with what the VPS knows: courses by digest, then the videos of those that differ."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import Select, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import (
    CoursesCompared,
    CoursesHeld,
    GrantHeld,
    GrantsCompared,
    GrantsHeld,
    VideosCompared,
    VideosHeld,
    VideoStatus,
    course_digest,
)
from vps_service.accounts.models import User
from vps_service.community.queries import PracticeRights
from vps_service.courses import rules
from vps_service.courses.models import Course, Lesson, Video
from vps_service.keys.models import Key

collection_id = func.coalesce(Video.course_id, Video.owner_id)
"""By which nodes keep videos: the course, and of practice videos their owner."""


async def compare_courses(session: AsyncSession, node_id: str, held: CoursesHeld) -> CoursesCompared:
    wanted = (
        select(collection_id.label("kept_in"), Video.id, Video.sha256, Video.status)
        .outerjoin(Course, Course.id == Video.course_id)
        .where(Video.node_id == node_id, Video.deleted_at.is_(None), Course.deleted_at.is_(None))
        .where(Video.missing_since.is_(None))
    )
    if held.after:
        wanted = wanted.where(collection_id > held.after)
    if held.up_to:
        wanted = wanted.where(collection_id <= held.up_to)
    known: dict[UUID, list[tuple[UUID, str, VideoStatus]]] = defaultdict(list)
    for kept_in, video_id, sha256, status in await session.execute(wanted):
        known[kept_in].append((video_id, sha256, status))
    here = {course_id: (len(videos), course_digest(videos)) for course_id, videos in known.items()}
    there = {course.course_id: (course.videos, course.digest) for course in held.courses}
    differing = [course_id for course_id in here.keys() | there.keys() if here.get(course_id) != there.get(course_id)]
    return CoursesCompared(differing=sorted(differing))


async def compare_videos(session: AsyncSession, node_id: str, held: VideosHeld) -> VideosCompared:
    """What to do about each; the VPS notes which are missing, and which are there again."""
    course = await session.get(Course, held.course_id, with_for_update={"read": True})
    there = {video.video_id: video for video in held.videos}
    rows = {row.id: row for row in await session.scalars(_kept_in(held.course_id, node_id, there))}
    is_over = course is not None and course.is_deleted
    own = [row for row in rows.values() if row.node_id == node_id]
    expected = [row for row in own if not row.is_deleted and not is_over]
    gone = {video_id for video_id in there if is_over or (video_id in rows and rows[video_id].is_deleted)}
    missing = {
        row.id
        for row in expected
        if row.id not in there or (there[row.id].size, there[row.id].sha256) != (row.size, row.sha256)
    }
    changed = {row.id for row in expected if row.id in there and there[row.id].status not in (None, row.status)}
    unknown = (there.keys() - rows.keys() - gone) | (changed - missing)
    await _note_missing(session, [row.id for row in own], missing)
    return VideosCompared(unknown=sorted(unknown), gone=sorted(gone), missing=sorted(missing))


def _kept_in(collection: UUID, node_id: str, named: Iterable[UUID]) -> Select[Video]:
    """The videos of this course, or practice videos of this owner, that the node should hold, and those it named."""
    of_owner = and_(Video.owner_id == collection, Video.kind == "practice", Video.deleted_at.is_(None))
    held = and_(or_(Video.course_id == collection, of_owner), Video.node_id == node_id)
    return select(Video).where(or_(held, Video.id.in_(named)))


async def _note_missing(session: AsyncSession, all_of_them: Iterable[UUID], missing: set[UUID]) -> None:
    found_again = set(all_of_them) - missing
    newly = update(Video).where(Video.id.in_(missing), Video.missing_since.is_(None))
    await session.execute(newly.values(missing_since=datetime.now(UTC)))
    await session.execute(update(Video).where(Video.id.in_(found_again)).values(missing_since=None))


async def compare_grants(session: AsyncSession, held: GrantsHeld) -> GrantsCompared:
    """By the rules as they would be answered now."""
    named_users = select(User).where(User.id.in_({grant.user_id for grant in held.grants}))
    named_courses = select(Course).where(Course.id.in_({grant.course_id for grant in held.grants}))
    users = {user.id: user for user in await session.scalars(named_users)}
    courses = {course.id: course for course in await session.scalars(named_courses)}
    pairs = {(grant.user_id, grant.course_id) for grant in held.grants}
    paid = select(Key.user_id, Key.course_id).where(
        tuple_(Key.user_id, Key.course_id).in_(pairs), Key.status == "active"
    )
    keys = {(user_id, course_id) for user_id, course_id in await session.execute(paid)}
    single = [grant.video_id for grant in held.grants if grant.video_id]
    previews = await _previews(session, single)
    practice = await PracticeRights.of(session, {grant.course_id for grant in held.grants} - courses.keys(), single)

    def holds(grant: GrantHeld) -> bool:
        user, course = users.get(grant.user_id), courses.get(grant.course_id)
        if user is None or user.generation != grant.generation:
            return False
        if course is None:
            return practice.via(user, grant.course_id, grant.video_id) is not None
        if rules.may_watch_all(user, course, holds_key=(user.id, course.id) in keys):
            return True
        lesson = previews.get(grant.video_id) if grant.video_id else None
        return lesson is not None and rules.may_watch(user, course, lesson, holds_key=False) is not None

    return GrantsCompared(wrong=[place for place, grant in enumerate(held.grants) if not holds(grant)])


async def _previews(session: AsyncSession, video_ids: list[UUID]) -> dict[UUID, Lesson]:
    wanted = (
        select(Video.id, Lesson)
        .join(Lesson, Lesson.id == Video.lesson_id)
        .where(Video.id.in_(video_ids), Video.deleted_at.is_(None), Video.replaces_id.is_(None))
    )
    return {row.id: row.Lesson for row in await session.execute(wanted)}
