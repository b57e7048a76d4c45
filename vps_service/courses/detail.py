"""A course as it is shown: its own fields, and its lessons with which of them this viewer may open."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Via
from vps_service.accounts.models import User
from vps_service.courses import queries, rules
from vps_service.courses.links import Addresses, addresses
from vps_service.courses.models import Course, Lesson, Video
from vps_service.courses.schemas import (
    CourseDetail,
    CourseOut,
    LessonFile,
    LessonInCourse,
    LessonOut,
    ListedCourse,
    PracticeVideoOut,
    RenditionOut,
    SectionInCourse,
    VideoOut,
)
from vps_service.keys.queries import active_key
from vps_service.playbacks.queries import views_of

Views = Mapping[UUID, int]


async def course_detail(session: AsyncSession, viewer: User | None, course_id: UUID) -> CourseDetail:
    """Raises CourseNotFound."""
    course = await queries.visible_course(session, viewer, course_id)
    holds_key = viewer is not None and await active_key(session, viewer.id, course.id) is not None
    nodes = await addresses(session)
    sections = {
        section.id: SectionInCourse(id=section.id, title=section.title, position=section.position, lessons=[])
        for section in await queries.sections_of(session, course.id)
    }
    videos: dict[UUID | None, list[Video]] = defaultdict(list)
    for video in await queries.videos_of_course(session, course.id):
        videos[video.lesson_id].append(video)
    lessons = await queries.lessons_of(session, course.id)
    sees_views = rules.may_watch_all(viewer, course, holds_key=False) is not None
    views = await views_of(session, [one.id for of in videos.values() for one in of]) if sees_views else {}
    for lesson in lessons:
        via = rules.may_watch(viewer, course, lesson, holds_key=holds_key)
        shown = _lesson(lesson, videos[lesson.id], via, nodes, views)
        shown.poster_url = shown.poster_url if rules.shows_posters(course) else None
        sections[lesson.section_id].lessons.append(shown)
    posters = [lesson.poster_url for section in sections.values() for lesson in section.lessons if lesson.poster_url]
    return CourseDetail(
        **CourseOut.model_validate(course).__dict__,
        poster_url=posters[0] if posters else None,
        sections=list(sections.values()),
    )


async def listed(session: AsyncSession, courses: Sequence[Course]) -> dict[UUID, ListedCourse]:
    """Published courses, by id, as everybody sees them in a list."""
    nodes, first = await addresses(session), await queries.first_videos(session, [course.id for course in courses])
    return {
        course.id: ListedCourse(
            **CourseOut.model_validate(course).__dict__, poster_url=nodes.poster(first.get(course.id))
        )
        for course in courses
    }


def _lesson(lesson: Lesson, videos: Sequence[Video], via: Via | None, nodes: Addresses, views: Views) -> LessonInCourse:
    current = next((video for video in videos if video.is_current), None)
    coming = min((video for video in videos if video.replaces_id), key=lambda video: video.came_late, default=None)
    sees_all = via in ("owner", "review")
    return LessonInCourse(
        **LessonOut.model_validate(lesson).__dict__,
        can_open=via is not None,
        video_id=current.id if current and via else None,
        uri=nodes.uri(current) if current and via else None,
        poster_url=nodes.poster(current),
        status=current.status if current else None,
        reason=current.reason if current and sees_all else "",
        duration_s=current.duration_s if current else None,
        renditions=_renditions(current) if current else [],
        views=views.get(current.id, 0) if current and sees_all else None,
        replacement=_video(coming, nodes, views) if coming and sees_all else None,
        files=[_file(video, via, nodes) for video in videos if video.kind == "file"],
    )


def _renditions(video: Video) -> list[RenditionOut]:
    return [RenditionOut.model_validate(made) for made in video.renditions]


def _video(video: Video, nodes: Addresses, views: Views) -> VideoOut:
    return VideoOut(
        id=video.id,
        status=video.status,
        reason=video.reason,
        duration_s=video.duration_s,
        renditions=_renditions(video),
        uri=nodes.uri(video),
        views=views.get(video.id, 0),
    )


def _file(file: Video, via: Via | None, nodes: Addresses) -> LessonFile:
    return LessonFile(
        id=file.id if via else None,
        title=file.title,
        media_type=file.media_type,
        size=file.size,
        uri=nodes.uri(file) if via else None,
    )


def practice_video(video: Video, nodes: Addresses, views: Views) -> PracticeVideoOut:
    """As its owner sees it."""
    return PracticeVideoOut(
        **_video(video, nodes, views).__dict__,
        title=video.title,
        media_type=video.media_type,
        size=video.size,
        created_at=video.created_at,
    )
