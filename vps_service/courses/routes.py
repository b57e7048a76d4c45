from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page, Text
from vps_service import paging
from vps_service.accounts.current import CurrentTeacher, CurrentUser, MaybeUser
from vps_service.accounts.errors import WrongRole
from vps_service.accounts.writing import CHANGE, DRAFT
from vps_service.courses import actions, errors, queries
from vps_service.courses.detail import course_detail, listed, practice_video
from vps_service.courses.links import addresses
from vps_service.courses.schemas import (
    CourseDetail,
    CourseDraft,
    CoursePatch,
    LessonDraft,
    LessonOut,
    LessonPatch,
    ListedCourse,
    OwnCourseOut,
    PracticeVideoOut,
    SectionDraft,
    SectionOut,
)
from vps_service.db import Session
from vps_service.limits.errors import TooManyRequests
from vps_service.playbacks.queries import views_of
from vps_service.vps import CurrentVps

router = APIRouter(prefix="/api", tags=["courses"])
teacher_errors = responses(NotAuthenticated, WrongRole, errors.CourseNotFound)
counted_errors = teacher_errors | responses(TooManyRequests)


@router.get("/courses", summary="Published courses, newest first", responses=responses())
async def list_courses(
    session: Session,
    q: Annotated[Text | None, Query(max_length=200, description="Words to look for.")] = None,
    teacher: Annotated[Text | None, Query(max_length=32, description="A teacher's username.")] = None,
    limit: paging.Limit = 20,
    cursor: paging.Cursor = None,
) -> Page[ListedCourse]:
    rows = await queries.published(session, q=q, teacher=teacher, after=paging.after(cursor), limit=limit)
    shown = await listed(session, rows)
    return paging.page(rows, limit, lambda course: shown[course.id])


@router.get(
    "/courses/{course_id}",
    summary="A course with its sections and lessons",
    responses=responses(NotAuthenticated, errors.CourseNotFound),
)
async def show_course(course_id: UUID, viewer: MaybeUser, session: Session) -> CourseDetail:
    """Each lesson says whether this caller may open it. Unpublished courses exist for their teacher and admins only."""
    return await course_detail(session, viewer, course_id)


@router.get("/teacher/courses", summary="My courses as a teacher", responses=responses(NotAuthenticated, WrongRole))
async def list_own_courses(
    teacher: CurrentTeacher, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[OwnCourseOut]:
    rows = await queries.courses_of(session, teacher.id, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, OwnCourseOut.model_validate)


@router.post(
    "/courses",
    status_code=201,
    summary="Draft a course",
    responses=responses(NotAuthenticated, WrongRole, TooManyRequests),
    dependencies=[DRAFT],
)
async def draft_course(draft: CourseDraft, teacher: CurrentTeacher, session: Session, vps: CurrentVps) -> OwnCourseOut:
    course = await actions.draft_course(
        session, teacher, draft.title, draft.description, draft.price, vps.settings.currency
    )
    return OwnCourseOut.model_validate(course)


@router.patch("/courses/{course_id}", summary="Change a course", responses=counted_errors, dependencies=[CHANGE])
async def change_course(
    course_id: UUID, patch: CoursePatch, teacher: CurrentTeacher, session: Session, vps: CurrentVps
) -> OwnCourseOut:
    """Fields that are left out stay. A new price holds for later purchases."""
    course = await actions.change_course(session, teacher, course_id, vps.settings.currency, **patch.changes())
    return OwnCourseOut.model_validate(course)


@router.delete("/courses/{course_id}", status_code=204, summary="Delete a course", responses=teacher_errors)
async def delete_course(course_id: UUID, teacher: CurrentTeacher, session: Session) -> None:
    """Nobody watches it any more, its files go, and keys stay as void receipts."""
    await actions.delete_course(session, teacher, course_id)


@router.post(
    "/courses/{course_id}/submit",
    summary="Ask for publication",
    responses=counted_errors | responses(errors.WrongStatus, errors.NothingToPublish),
    dependencies=[CHANGE],
)
async def submit_course(course_id: UUID, teacher: CurrentTeacher, session: Session) -> OwnCourseOut:
    course = await actions.submit_course(session, teacher, course_id)
    return OwnCourseOut.model_validate(course)


@router.post(
    "/courses/{course_id}/archive",
    summary="Take a course out of the shop",
    responses=responses(NotAuthenticated, WrongRole, errors.CourseNotFound, errors.WrongStatus),
)
async def archive_course(course_id: UUID, teacher: CurrentTeacher, session: Session) -> OwnCourseOut:
    """Key holders go on watching. It can be submitted again."""
    return OwnCourseOut.model_validate(await actions.archive_course(session, teacher, course_id))


@router.post(
    "/courses/{course_id}/sections",
    status_code=201,
    summary="Add a section",
    responses=counted_errors,
    dependencies=[DRAFT],
)
async def add_section(course_id: UUID, draft: SectionDraft, teacher: CurrentTeacher, session: Session) -> SectionOut:
    return SectionOut.model_validate(await actions.add_section(session, teacher, course_id, draft.title))


@router.post(
    "/sections/{section_id}/lessons",
    status_code=201,
    summary="Add a lesson",
    responses=responses(NotAuthenticated, WrongRole, errors.SectionNotFound, TooManyRequests),
    dependencies=[DRAFT],
)
async def add_lesson(section_id: UUID, draft: LessonDraft, teacher: CurrentTeacher, session: Session) -> LessonOut:
    """Its video is uploaded to the Cloud, with this lesson's id."""
    lesson = await actions.add_lesson(
        session, teacher, section_id, title=draft.title, kind=draft.kind, is_preview=draft.is_preview
    )
    return LessonOut.model_validate(lesson)


@router.patch(
    "/lessons/{lesson_id}",
    summary="Change a lesson",
    responses=responses(NotAuthenticated, WrongRole, errors.LessonNotFound, TooManyRequests),
    dependencies=[CHANGE],
)
async def change_lesson(lesson_id: UUID, patch: LessonPatch, teacher: CurrentTeacher, session: Session) -> LessonOut:
    """Fields that are left out stay. A preview is open to anyone signed in, while the course is published."""
    return LessonOut.model_validate(await actions.change_lesson(session, teacher, lesson_id, **patch.changes()))


@router.get("/users/me/videos", summary="My practice videos, newest first", responses=responses(NotAuthenticated))
async def list_practice_videos(
    user: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[PracticeVideoOut]:
    """`GET /users/me/upload-place` says where to upload one."""
    rows = await queries.practice_videos(session, user.id, after=paging.after(cursor), limit=limit)
    nodes, views = await addresses(session), await views_of(session, [video.id for video in rows])
    return paging.page(rows, limit, lambda video: practice_video(video, nodes, views))
