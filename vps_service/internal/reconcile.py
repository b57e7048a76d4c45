"""Comparing what a node holds with what the VPS knows: courses by digest, then the videos of those that differ."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import or_, select, tuple_, update
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
from vps_service.courses import rules
from vps_service.courses.models import Course, Lesson, Video
from vps_service.keys.models import Key


async def compare_courses(session: AsyncSession, node_id: str, held: CoursesHeld) -> CoursesCompared:
    wanted = (
        select(Course.id, Video.id, Video.sha256, Video.status)
        .join(Course, Course.id == Video.course_id)
        .where(Video.node_id == node_id, Video.deleted_at.is_(None), Course.deleted_at.is_(None))
        .where(Video.missing_since.is_(None))
    )
    if held.after:
        wanted = wanted.where(Video.course_id > held.after)
    if held.up_to:
        wanted = wanted.where(Video.course_id <= held.up_to)
    known: dict[UUID, list[tuple[UUID, str, VideoStatus]]] = defaultdict(list)
    for course_id, video_id, sha256, status in await session.execute(wanted):
        known[course_id].append((video_id, sha256, status))
    here = {course_id: (len(videos), course_digest(videos)) for course_id, videos in known.items()}
    there = {course.course_id: (course.videos, course.digest) for course in held.courses}
    differing = [course_id for course_id in here.keys() | there.keys() if here.get(course_id) != there.get(course_id)]
    return CoursesCompared(differing=sorted(differing))


async def compare_videos(session: AsyncSession, node_id: str, held: VideosHeld) -> VideosCompared:
    """What to do about each; the VPS notes which are missing, and which are there again."""
    course = await session.get(Course, held.course_id, with_for_update={"read": True})
    there = {video.video_id: video for video in held.videos}
    of_course = (Video.course_id == held.course_id) & (Video.node_id == node_id)
    rows = {row.id: row for row in await session.scalars(select(Video).where(or_(of_course, Video.id.in_(there))))}
    unknown = [
        video_id
        for video_id, video in there.items()
        if video_id not in rows or (rows[video_id].node_id == node_id and rows[video_id].status != video.status)
    ]
    gone = [
        video_id
        for video_id in there
        if (course is not None and course.is_deleted) or (video_id in rows and rows[video_id].is_deleted)
    ]
    missing = [
        row.id
        for row in rows.values()
        if not row.is_deleted and row.node_id == node_id and (course is None or not course.is_deleted)
        if row.id not in there or (there[row.id].size, there[row.id].sha256) != (row.size, row.sha256)
    ]
    await _note_missing(session, [row.id for row in rows.values() if row.node_id == node_id], missing)
    return VideosCompared(unknown=sorted(set(unknown) - set(gone)), gone=sorted(gone), missing=sorted(missing))


async def _note_missing(session: AsyncSession, all_of_them: Iterable[UUID], missing: list[UUID]) -> None:
    found_again = set(all_of_them) - set(missing)
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
    previews = await _previews(session, [grant.video_id for grant in held.grants if grant.video_id])

    def holds(grant: GrantHeld) -> bool:
        user, course = users.get(grant.user_id), courses.get(grant.course_id)
        if user is None or course is None or user.generation != grant.generation:
            return False
        if rules.may_watch_all(user, course, holds_key=(user.id, course.id) in keys):
            return True
        lesson = previews.get(grant.video_id) if grant.video_id else None
        return lesson is not None and rules.may_watch(user, course, lesson, holds_key=False) is not None

    return GrantsCompared(wrong=[place for place, grant in enumerate(held.grants) if not holds(grant)])


async def _previews(session: AsyncSession, video_ids: list[UUID]) -> dict[UUID, Lesson]:
    wanted = (
        select(Video.id, Lesson)
        .join(Lesson, Lesson.id == Video.lesson_id)
        .where(Video.id.in_(video_ids), Video.deleted_at.is_(None))
    )
    return {row.id: row.Lesson for row in await session.execute(wanted)}
