from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import Select, func, literal, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from vps_service.accounts.models import User
from vps_service.courses import rules
from vps_service.courses.errors import CourseNotFound, LessonNotFound, SectionNotFound
from vps_service.courses.models import Course, Lesson, Section, Video

is_living = Video.deleted_at.is_(None)
is_current = (Video.kind == "course", Video.replaces_id.is_(None), is_living)
"""The video that plays in its lesson."""


LOOKED_THROUGH = 2000
"""Of the newest courses, for a word of which enough may be among them."""
FOUND_AT_MOST = 50_000
"""Of the others, however many have the word."""


def _listed(status: str) -> Select[Course]:
    """The status is in the statement itself, so that a plan for any values may use the index of such courses."""
    return _courses().where(Course.status == literal(status, literal_execute=True), Course.deleted_at.is_(None))


def _courses() -> Select[Course]:
    return select(Course).options(joinedload(Course.teacher))


async def visible_course(session: AsyncSession, viewer: User | None, course_id: UUID) -> Course:
    """Raises CourseNotFound for what this viewer may not see."""
    course = (await session.scalars(_courses().where(Course.id == course_id))).one_or_none()
    if course is None or not rules.may_see(viewer, course):
        raise CourseNotFound
    return course


async def owned_course(session: AsyncSession, teacher: User, course_id: UUID, *, deleted_too: bool = False) -> Course:
    """The teacher's own course, locked. Raises CourseNotFound, also for somebody else's."""
    wanted = _courses().where(Course.id == course_id, Course.teacher_id == teacher.id)
    course = (await session.scalars(wanted.with_for_update(of=Course, key_share=True))).one_or_none()
    if course is None or (course.is_deleted and not deleted_too):
        raise CourseNotFound
    return course


async def stays_public(session: AsyncSession, course_id: UUID) -> bool:
    """Whether the course is public, and if so until this transaction ends."""
    wanted = select(Course).where(Course.id == course_id).with_for_update(read=True)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one().is_public


async def course_for_review(session: AsyncSession, course_id: UUID) -> Course:
    wanted = _courses().where(Course.id == course_id, Course.deleted_at.is_(None))
    course = (await session.scalars(wanted.with_for_update(of=Course, key_share=True))).one_or_none()
    if course is None:
        raise CourseNotFound
    return course


async def owned_section(session: AsyncSession, teacher: User, section_id: UUID) -> Section:
    """A section of the teacher's own course, whose row is locked so that positions do not collide."""
    section = await session.get(Section, section_id)
    if section is None:
        raise SectionNotFound
    try:
        await owned_course(session, teacher, section.course_id)
    except CourseNotFound:
        raise SectionNotFound from None
    return section


async def owned_lesson(session: AsyncSession, teacher: User, lesson_id: UUID) -> Lesson:
    """A lesson of the teacher's own course, whose row is locked: no video comes to the lesson meanwhile."""
    lesson = await session.get(Lesson, lesson_id)
    if lesson is None:
        raise LessonNotFound
    try:
        await owned_course(session, teacher, lesson.course_id)
    except CourseNotFound:
        raise LessonNotFound from None
    await session.refresh(lesson)
    return lesson


async def published(
    session: AsyncSession, *, q: str | None, teacher: str | None, after: UUID | None, limit: int
) -> Sequence[Course]:
    """Newest first; one more than `limit`, to tell whether there is a next page."""
    wanted = _listed("published")
    if teacher:
        its_id = select(User.id).where(User.username == teacher.lower()).scalar_subquery()
        wanted = wanted.where(Course.teacher_id == its_id)
    if after:
        wanted = wanted.where(Course.id < after)
    newest = wanted.order_by(Course.id.desc()).limit(limit + 1)
    if not q:
        return (await session.scalars(newest)).all()
    found = await _found(session, wanted, q, limit)
    return (await session.scalars(_courses().where(Course.id.in_(found)).order_by(Course.id.desc()))).all()


async def _found(session: AsyncSession, wanted: Select[Course], q: str, limit: int) -> Sequence[UUID]:
    """One more than `limit` of those that fit, the newest first.

    What is told by words that are not in it no index knows: of that there is no more than the newest courses have.
    """
    # Of a common word the newest are soon found, and of a seldom one all are few. Which it is, PostgreSQL can only
    # guess, and a wrong guess reads a million courses: so first a look at some, then, if that was not enough, at all.
    asked = func.websearch_to_tsquery("simple", q)
    fits = Course.search.op("@@")(asked)
    ids = wanted.with_only_columns(Course.id, maintain_column_froms=True)
    some = ids.add_columns(fits.label("fits")).order_by(Course.id.desc()).limit(LOOKED_THROUGH).cte("some")
    among = select(some.c.id).where(some.c.fits).order_by(some.c.id.desc()).limit(limit + 1)
    found = (await session.scalars(among)).all()
    if len(found) > limit or await session.scalar(select(func.querytree(asked).in_(("", "T")))):
        return found
    matching = ids.where(fits).limit(FOUND_AT_MOST).cte("matching").prefix_with("MATERIALIZED", dialect="postgresql")
    all_newest = select(matching.c.id).order_by(matching.c.id.desc()).limit(limit + 1)
    return sorted({*found, *await session.scalars(all_newest)}, reverse=True)[: limit + 1]


async def pending(session: AsyncSession, *, after: UUID | None, limit: int) -> Sequence[Course]:
    """Oldest first, as they came in; one more than `limit`."""
    wanted = _listed("pending")
    if after:
        wanted = wanted.where(Course.id > after)
    return (await session.scalars(wanted.order_by(Course.id).limit(limit + 1))).all()


async def courses_of(
    session: AsyncSession, teacher_id: UUID, *, after: UUID | None = None, limit: int | None = None
) -> Sequence[Course]:
    """The teacher's courses in any state but deleted, newest first; one more than `limit`."""
    wanted = _courses().where(Course.teacher_id == teacher_id, Course.deleted_at.is_(None))
    if after:
        wanted = wanted.where(Course.id < after)
    return (await session.scalars(wanted.order_by(Course.id.desc()).limit(limit and limit + 1))).all()


async def first_videos(session: AsyncSession, course_ids: Collection[UUID]) -> dict[UUID, Video]:
    """Of each course the first that is ready, in the order of the lessons."""
    wanted = (
        select(Lesson.course_id, Video)
        .join(Section, Section.id == Lesson.section_id)
        .join(Video, Video.lesson_id == Lesson.id)
        .where(Lesson.course_id.in_(course_ids), Video.status == "ready", *is_current)
        .order_by(Lesson.course_id, Section.position, Lesson.position)
        .ext(distinct_on(Lesson.course_id))
    )
    return {row.course_id: row.Video for row in await session.execute(wanted)}


async def sections_of(session: AsyncSession, course_id: UUID) -> Sequence[Section]:
    return (
        await session.scalars(select(Section).where(Section.course_id == course_id).order_by(Section.position))
    ).all()


async def lessons_of(session: AsyncSession, course_id: UUID) -> Sequence[Lesson]:
    """In order."""
    wanted = select(Lesson).join(Section, Section.id == Lesson.section_id).where(Lesson.course_id == course_id)
    return (await session.scalars(wanted.order_by(Section.position, Lesson.position))).all()


async def lesson_and_course(session: AsyncSession, lesson_id: UUID) -> tuple[Lesson, Course] | None:
    wanted = (
        select(Lesson, Course)
        .join(Course, Course.id == Lesson.course_id)
        .where(Lesson.id == lesson_id)
        .options(joinedload(Course.teacher))
    )
    return (await session.execute(wanted)).one_or_none()


async def locked_course(session: AsyncSession, course_id: UUID) -> Course | None:
    """Whosever it is, deleted or not, and none of its videos changes until this transaction ends."""
    wanted = select(Course).where(Course.id == course_id).with_for_update(key_share=True)
    return (await session.scalars(wanted.execution_options(populate_existing=True))).one_or_none()


async def locked_courses(session: AsyncSession, teacher_id: UUID) -> Sequence[Course]:
    """The teacher's, none of which changes until this transaction ends, in any state but deleted."""
    wanted = select(Course).where(Course.teacher_id == teacher_id, Course.deleted_at.is_(None)).order_by(Course.id)
    locked = wanted.with_for_update(key_share=True).execution_options(populate_existing=True)
    return (await session.scalars(locked)).all()


async def living_video(session: AsyncSession, video_id: UUID) -> Video | None:
    return (await session.scalars(select(Video).where(Video.id == video_id, is_living))).one_or_none()


async def current_video(session: AsyncSession, lesson_id: UUID) -> Video | None:
    """The one that plays in the lesson."""
    wanted = select(Video).where(Video.lesson_id == lesson_id, *is_current)
    return (await session.scalars(wanted)).one_or_none()


async def replacement_of(session: AsyncSession, video_id: UUID) -> Video | None:
    """The one that is on its way to take this one's place, or was, and failed."""
    return (await session.scalars(select(Video).where(Video.replaces_id == video_id, is_living))).one_or_none()


async def videos_of_lesson(session: AsyncSession, lesson_id: UUID) -> Sequence[Video]:
    """Its current video, what is to replace that, and its files."""
    wanted = select(Video).where(Video.lesson_id == lesson_id, is_living)
    return (await session.scalars(wanted.order_by(Video.id))).all()


async def videos_of_course(session: AsyncSession, course_id: UUID) -> Sequence[Video]:
    """As `videos_of_lesson`, of all lessons."""
    wanted = select(Video).where(Video.course_id == course_id, is_living)
    return (await session.scalars(wanted.order_by(Video.id))).all()


async def practice_videos(session: AsyncSession, owner_id: UUID, *, after: UUID | None, limit: int) -> Sequence[Video]:
    """Newest first; one more than `limit`."""
    wanted = select(Video).where(Video.owner_id == owner_id, Video.kind == "practice", is_living)
    if after:
        wanted = wanted.where(Video.id < after)
    return (await session.scalars(wanted.order_by(Video.id.desc()).limit(limit + 1))).all()


async def has_practice_videos(session: AsyncSession, owner_id: UUID) -> bool:
    wanted = select(Video.id).where(Video.owner_id == owner_id, Video.kind == "practice", is_living)
    return (await session.scalars(wanted.limit(1))).first() is not None


async def practice_bytes(session: AsyncSession, owner_id: UUID, *, not_on: str | None = None) -> int:
    """What this user keeps of practice videos, on other nodes than this one."""
    kept = select(func.coalesce(func.sum(Video.size), 0)).where(
        Video.owner_id == owner_id, Video.kind == "practice", is_living
    )
    if not_on is not None:
        kept = kept.where(Video.node_id != not_on)
    return int((await session.execute(kept)).scalar_one())


async def next_position(session: AsyncSession, kind: type[Section] | type[Lesson], parent_id: UUID) -> int:
    parent = Section.course_id if kind is Section else Lesson.section_id
    highest = select(func.coalesce(func.max(kind.position), 0)).where(parent == parent_id)
    return (await session.execute(highest)).scalar_one() + 1
