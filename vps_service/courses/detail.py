"""A course as it is shown: its own fields, and its lessons with which of them this viewer may open."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import User
from vps_service.courses import queries, rules
from vps_service.courses.schemas import CourseDetail, CourseOut, LessonInCourse, SectionInCourse
from vps_service.keys.queries import active_key


async def course_detail(session: AsyncSession, viewer: User | None, course_id: UUID) -> CourseDetail:
    """Raises CourseNotFound."""
    course = await queries.visible_course(session, viewer, course_id)
    holds_key = viewer is not None and await active_key(session, viewer.id, course.id) is not None
    sections = {
        section.id: SectionInCourse(id=section.id, title=section.title, position=section.position, lessons=[])
        for section in await queries.sections_of(session, course.id)
    }
    for lesson, video in await queries.lessons_of(session, course.id):
        shown = LessonInCourse(
            id=lesson.id,
            section_id=lesson.section_id,
            kind=lesson.kind,
            title=lesson.title,
            position=lesson.position,
            is_preview=lesson.is_preview,
            can_open=rules.may_watch(viewer, course, lesson, holds_key=holds_key) is not None,
            video_id=video.id if video else None,
            duration_s=video.duration_s if video else None,
        )
        sections[lesson.section_id].lessons.append(shown)
    return CourseDetail(**CourseOut.model_validate(course).__dict__, sections=list(sections.values()))
