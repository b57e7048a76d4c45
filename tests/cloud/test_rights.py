"""What a node remembers of rights: versions decide, a revocation wins, memory allows no more than the file."""

import asyncio
import json
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from cloud_service.access.models import ANY, Grant, Scope
from cloud_service.access.rights import Rights
from cloud_service.db import Database
from cloud_service.videos.models import StoredVideo
from shared.contract import Change, TeacherAnswer

pytestmark = pytest.mark.anyio

USER, TEACHER, COURSE, VIDEO, EPOCH = uuid4(), uuid4(), uuid4(), uuid4(), uuid4()


def grant(version: int = 1, user: UUID = USER, via: str = "key", course: UUID = COURSE) -> Grant:
    video = str(VIDEO) if via == "preview" else ANY
    return Grant(Scope(str(user), str(course), video), "omar", via, version)


def video(course: UUID = COURSE, video_id: UUID = VIDEO) -> StoredVideo:
    return StoredVideo(str(video_id), "lesson", str(course), "owner", "omar", 1, "ab" * 32, "video/mp4", 1.0, 1, 1, 0)


def standing(version: int = 1, courses: tuple[UUID, ...] = (COURSE,)) -> TeacherAnswer:
    return TeacherAnswer(
        user_id=TEACHER,
        username="omar",
        is_teacher=True,
        verified=True,
        followers=3,
        required=3,
        courses=list(courses),
        version=version,
    )


def course_deleted(number: int, course: UUID = COURSE) -> Change:
    return Change(number=number, kind="course_deleted", course_id=course)


async def check_memory_is_the_file(rights: Rights, database: Database) -> None:
    again = Rights(database)
    await again.load()
    assert vars(again) == vars(rights)


# --- grants ---------------------------------------------------------------------------------------------


async def test_a_grant_opens_every_video_of_its_course_and_nothing_else(rights: Rights) -> None:
    assert await rights.remember(grant())
    assert rights.grant_for(str(USER), video())
    assert rights.grant_for(str(USER), video(video_id=uuid4()))
    assert not rights.grant_for(str(USER), video(course=uuid4()))
    assert not rights.grant_for(str(uuid4()), video())


async def test_a_preview_opens_its_own_video_only(rights: Rights) -> None:
    assert await rights.remember(grant(via="preview"))
    assert rights.grant_for(str(USER), video())
    assert not rights.grant_for(str(USER), video(video_id=uuid4()))


async def test_what_is_remembered_is_the_same_after_a_restart(rights: Rights, database: Database) -> None:
    await rights.remember(grant())
    await rights.remember(grant(via="preview", user=uuid4()))
    await rights.remember_teacher(standing())
    await rights.apply([course_deleted(1, uuid4())], EPOCH, 1)
    await check_memory_is_the_file(rights, database)
    assert (len(rights), rights.epoch, rights.position) == (2, EPOCH, 1)


@pytest.mark.parametrize(("first", "second"), [(2, 5), (5, 2), (3, 3)])
async def test_the_newer_of_two_grants_stays_in_memory_as_in_the_file(
    rights: Rights, database: Database, first: int, second: int
) -> None:
    for version in (first, second):
        assert await rights.remember(grant(version))
    kept = rights.grant_for(str(USER), video())
    assert kept
    assert kept.version == max(first, second)
    await check_memory_is_the_file(rights, database)


async def test_an_answer_from_before_a_revocation_is_not_believed(rights: Rights, database: Database) -> None:
    await rights.apply([course_deleted(7)], EPOCH, 7)
    assert not await rights.remember(grant(version=6))
    assert not rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)


async def test_an_answer_that_knows_of_the_revocation_is_believed(rights: Rights) -> None:
    await rights.apply([course_deleted(7)], EPOCH, 7)
    assert await rights.remember(grant(version=7))


async def test_a_revocation_survives_a_restart(rights: Rights, database: Database) -> None:
    await rights.apply([course_deleted(7)], EPOCH, 7)
    again = Rights(database)
    await again.load()
    assert not await again.remember(grant(version=6))


async def test_an_older_revocation_does_not_replace_a_newer_one(rights: Rights) -> None:
    await rights.end_course(str(COURSE), "omar", 9)
    await rights.apply([course_deleted(7)], EPOCH, 7)
    assert not await rights.remember(grant(version=8))


async def test_a_deleted_video_ends_its_previews_and_not_the_course(rights: Rights, database: Database) -> None:
    other = uuid4()
    await rights.remember(grant())
    await rights.remember(grant(via="preview", user=other))
    await rights.apply([Change(number=1, kind="video_deleted", video_id=VIDEO, course_id=COURSE)], EPOCH, 1)
    assert rights.grant_for(str(USER), video())
    assert not rights.grant_for(str(other), video())
    assert not await rights.remember(grant(via="preview", user=other, version=0))
    await check_memory_is_the_file(rights, database)


async def test_a_teacher_ends_every_grant_of_their_course_and_no_others(rights: Rights, database: Database) -> None:
    viewers = [uuid4() for _ in range(5)]
    for viewer in viewers:
        await rights.remember(grant(user=viewer))
    kept = grant(user=viewers[0], course=uuid4())
    await rights.remember(kept)
    await rights.end_course(str(COURSE), "omar", 2)
    assert len(rights) == 1
    assert rights.grant_for(str(viewers[0]), video(course=UUID(kept.scope.course_id))) == kept
    await check_memory_is_the_file(rights, database)


async def test_a_grant_on_its_way_while_the_course_ends_is_never_seen(rights: Rights, database: Database) -> None:
    """Whichever of the two comes first."""
    for round_ in range(20):
        course = uuid4()
        jobs = [rights.remember(grant(1, course=course)), rights.end_course(str(course), "omar", 2)]
        await asyncio.gather(*(jobs if round_ % 2 else reversed(jobs)))
        assert not rights.grant_for(str(USER), video(course=course))
    await check_memory_is_the_file(rights, database)


# --- teachers -------------------------------------------------------------------------------------------


async def test_a_teacher_is_remembered_until_forgotten(rights: Rights, database: Database) -> None:
    await rights.remember_teacher(standing())
    assert rights.teacher(str(TEACHER)) == standing()
    await rights.forget_teacher(str(TEACHER))
    assert rights.teacher(str(TEACHER)) is None
    await check_memory_is_the_file(rights, database)


async def test_a_standing_from_before_a_change_is_not_believed(rights: Rights, database: Database) -> None:
    await rights.apply([Change(number=4, kind="teacher_verified", user_id=TEACHER)], EPOCH, 4)
    await rights.remember_teacher(standing(version=3))
    assert rights.teacher(str(TEACHER)) is None
    await rights.remember_teacher(standing(version=4))
    assert rights.teacher(str(TEACHER))
    await check_memory_is_the_file(rights, database)


async def test_a_deleted_course_forgets_what_its_teacher_could_do(rights: Rights, database: Database) -> None:
    await rights.remember_teacher(standing())
    await rights.apply([course_deleted(2)], EPOCH, 2)
    assert rights.teacher(str(TEACHER)) is None
    await check_memory_is_the_file(rights, database)


# --- the feed's side ------------------------------------------------------------------------------------


async def test_a_reset_drops_everything_cached_and_keeps_the_new_position(rights: Rights, database: Database) -> None:
    await rights.remember(grant())
    await rights.remember_teacher(standing())
    await rights.apply([course_deleted(5, uuid4())], EPOCH, 5)
    other = uuid4()
    await rights.reset(other, 2)
    assert (len(rights), rights.epoch, rights.position) == (0, other, 2)
    for table in ("grants", "teachers"):
        assert await database.fetch(f"SELECT * FROM {table}") == []
    await check_memory_is_the_file(rights, database)


async def test_an_answer_from_before_a_reset_is_not_believed(rights: Rights, database: Database) -> None:
    await rights.reset(EPOCH, 20)
    assert not await rights.remember(grant(version=10))
    await rights.remember_teacher(standing(version=10))
    assert rights.teacher(str(TEACHER)) is None
    assert await rights.remember(grant(version=20))
    await check_memory_is_the_file(rights, database)


async def test_a_standing_from_before_its_course_was_deleted_is_not_believed(rights: Rights) -> None:
    await rights.apply([course_deleted(11)], EPOCH, 11)
    await rights.remember_teacher(standing(version=10))
    assert rights.teacher(str(TEACHER)) is None
    await rights.remember_teacher(standing(version=11, courses=()))
    assert rights.teacher(str(TEACHER))


async def test_a_change_of_a_kind_from_a_later_release_ends_what_it_names(rights: Rights, database: Database) -> None:
    """Every id that it names has to be the grant's."""
    other = uuid4()
    for user in (USER, other):
        await rights.remember(grant(user=user))
        await rights.remember(grant(user=user, course=TEACHER))
    await rights.apply([Change(number=2, kind="refunded", user_id=USER, course_id=COURSE)], EPOCH, 2)
    left = {(viewer, course) for viewer in (USER, other) for course in (COURSE, TEACHER)} - {(USER, COURSE)}
    for viewer, course in left:
        assert rights.grant_for(str(viewer), video(course=course))
    assert not rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)
    await rights.apply([Change(number=3, kind="banned", user_id=other)], EPOCH, 3)
    assert len(rights) == 1
    await rights.apply([Change(number=4, kind="all is different now")], EPOCH, 4)
    assert len(rights) == 0
    await check_memory_is_the_file(rights, database)


async def test_a_new_key_ends_nothing(rights: Rights) -> None:
    await rights.remember(grant())
    await rights.apply([Change(number=2, kind="key_granted", user_id=USER, course_id=COURSE)], EPOCH, 2)
    assert rights.grant_for(str(USER), video())


async def test_applying_the_same_changes_again_changes_nothing(rights: Rights, database: Database) -> None:
    await rights.remember(grant(version=9))
    for _ in range(2):
        await rights.apply([course_deleted(1, uuid4())], EPOCH, 1)
    assert rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)


async def test_when_the_file_cannot_be_written_memory_allows_no_more_than_it(
    rights: Rights, database: Database, path: Path
) -> None:
    """The disk is full, or locked: the right is denied at once, and what was not stored is not shown."""
    await rights.remember(grant())
    async with database.transaction() as transaction:
        for table in ("grants", "ended"):
            refusal = f"CREATE TRIGGER no_{table} BEFORE INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'full'); END"
            await transaction.execute(refusal)
    failed = await asyncio.gather(
        rights.remember(grant(user=TEACHER)), rights.end_course(str(COURSE), "omar", 2), return_exceptions=True
    )
    assert all(isinstance(error, Exception) for error in failed), failed
    assert not rights.grant_for(str(TEACHER), video())
    assert not rights.grant_for(str(USER), video())
    assert json.dumps([row["user_id"] for row in await database.fetch("SELECT * FROM grants")]) == f'["{USER}"]'
