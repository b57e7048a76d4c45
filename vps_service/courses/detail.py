"""A course as it is shown: its own fields, and its lessons with which of them this viewer may open."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.schemas import Money
from vps_service.accounts.models import User
from vps_service.courses import queries, rules
from vps_service.courses.models import Course
from vps_service.courses.schemas import LessonInCourse, SectionInCourse, TeacherCard
from vps_service.keys.queries import active_key


def course_fields(course: Course) -> dict[str, object]:
    """What every view of a course is made from."""
    return {
        "id": course.id,
        "title": course.title,
        "description": course.description,
        "price": Money(amount=course.price_amount, currency=course.currency),
        "status": course.status,
        "teacher": TeacherCard.model_validate(course.teacher),
        "created_at": course.created_at,
        "rejection_reason": course.rejection_reason,
    }


async def course_detail(
    session: AsyncSession, viewer: User | None, course_id: UUID
) -> tuple[Course, list[SectionInCourse]]:
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
            can_open=bool(rules.may_watch(viewer, course, lesson, holds_key=holds_key)),
            video_id=video.id if video else None,
            duration_s=video.duration_s if video else None,
        )
        sections[lesson.section_id].lessons.append(shown)
    return course, list(sections.values())
