"""What a node remembers of rights: versions decide, a revocation wins, memory allows no more than the file."""

import asyncio
from uuid import UUID, uuid4

import pytest

from cloud_service.access.models import ANY, Scope
from cloud_service.access.rights import Rights
from cloud_service.db import Database
from shared.contract import Via
from tests.cloud.things import COURSE, EPOCH, MARK, TEACHER, USER, VIDEO, change, grant, position, standing, video
from tests.cloud.things import viewer as viewer_of

pytestmark = pytest.mark.anyio

OMAR = viewer_of(TEACHER)


@pytest.fixture
async def rights(database: Database) -> Rights:
    """Those of a node that is at the very beginning of the feed."""
    rights = Rights(database)
    await rights.reset(position(0), MARK)
    return rights


async def apply(rights: Rights, number: int, kind: str = "course_deleted", **about: UUID) -> None:
    await rights.apply([change(number, kind, **about)], position(number), MARK)


async def check_memory_is_the_file(rights: Rights, database: Database) -> None:
    again = Rights(database)
    await again.load()
    told = ("_grants", "_standings", "position", "mark")
    assert {name: vars(again)[name] for name in told} == {name: vars(rights)[name] for name in told}


# --- grants ---------------------------------------------------------------------------------------------


async def test_a_grant_opens_every_video_of_its_course_and_nothing_else(rights: Rights) -> None:
    assert await rights.remember(grant(), EPOCH)
    assert rights.grant_for(str(USER), video())
    assert rights.grant_for(str(USER), video(video_id=uuid4()))
    assert not rights.grant_for(str(USER), video(course=uuid4()))
    assert not rights.grant_for(str(uuid4()), video())


@pytest.mark.parametrize("via", ["preview", "shared", "public"])
async def test_what_is_given_to_one_video_opens_that_only(rights: Rights, via: Via) -> None:
    assert await rights.remember(grant(via=via), EPOCH)
    assert rights.grant_for(str(USER), video())
    assert not rights.grant_for(str(USER), video(video_id=uuid4()))


async def test_what_is_remembered_is_the_same_after_a_restart(rights: Rights, database: Database) -> None:
    await rights.remember(grant(), EPOCH)
    await rights.remember(grant(via="preview", user=uuid4(), generation=3), EPOCH)
    await rights.remember_standing(OMAR, standing())
    await apply(rights, 1, course=uuid4())
    await check_memory_is_the_file(rights, database)
    assert (len(rights), rights.position) == (2, position(1))


@pytest.mark.parametrize(("first", "second"), [(2, 5), (5, 2), (3, 3)])
async def test_the_newer_of_two_grants_stays_in_memory_as_in_the_file(
    rights: Rights, database: Database, first: int, second: int
) -> None:
    for version in (first, second):
        assert await rights.remember(grant(version), EPOCH)
    kept = rights.grant_for(str(USER), video())
    assert kept
    assert kept.version == max(first, second)
    await check_memory_is_the_file(rights, database)


@pytest.mark.parametrize("generations", [(1, 2), (2, 1)])
async def test_a_grant_stays_the_one_of_the_newest_token(
    rights: Rights, database: Database, generations: tuple[int, int]
) -> None:
    for generation in generations:
        await rights.remember(grant(generation=generation), EPOCH)
    kept = rights.grant_for(str(USER), video())
    assert kept
    assert kept.generation == 2
    await check_memory_is_the_file(rights, database)


async def test_before_the_first_pull_nothing_is_written_and_the_pull_ends_what_memory_holds(database: Database) -> None:
    """What ends would not be heard of."""
    rights = Rights(database)
    assert await rights.remember(grant(), EPOCH)
    await rights.remember_standing(OMAR, standing())
    assert (len(rights), rights.standing(OMAR)) == (1, None)
    assert await database.fetch("SELECT * FROM grants") == []
    await rights.reset(position(1), MARK)
    assert len(rights) == 0


# --- what ended -----------------------------------------------------------------------------------------


async def test_an_answer_from_before_a_revocation_is_not_believed(rights: Rights, database: Database) -> None:
    await apply(rights, 7, course=COURSE)
    assert not rights.believes(position(6), str(USER), [str(COURSE)], str(VIDEO))
    assert not await rights.remember(grant(version=6), EPOCH)
    assert not rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)


async def test_an_answer_that_knows_of_the_revocation_is_believed(rights: Rights) -> None:
    await apply(rights, 7, course=COURSE)
    assert await rights.remember(grant(version=7), EPOCH)


async def test_an_answer_of_another_epoch_is_not_believed(rights: Rights, database: Database) -> None:
    """Its number says nothing, however large it is: the VPS's database was set back meanwhile."""
    other = uuid4()
    assert not rights.believes(position(999, other), str(USER), [str(COURSE)], str(VIDEO))
    assert not await rights.remember(grant(version=999), other)
    await rights.remember_standing(OMAR, standing().model_copy(update={"as_of": position(999, other)}))
    assert (len(rights), rights.standing(OMAR)) == (0, None)
    await check_memory_is_the_file(rights, database)


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("key_refunded", {"user": USER, "course": COURSE}),
        ("key_disputed", {"user": USER, "course": COURSE}),
        ("key_voided", {"user": USER, "course": COURSE}),
        ("user_banned", {"user": USER}),
        ("user_signed_out", {"user": USER}),
        ("user_role_changed", {"user": USER}),
        ("course_unpublished", {"course": COURSE}),
        ("course_deleted", {"course": COURSE}),
    ],
)
async def test_whatever_ends_a_right_ends_it_here_and_not_that_of_others(
    rights: Rights, database: Database, kind: str, about: dict[str, UUID]
) -> None:
    other = uuid4()
    await rights.remember(grant(), EPOCH)
    await rights.remember(grant(user=other), EPOCH)
    await rights.remember(grant(user=other, course=TEACHER), EPOCH)
    await apply(rights, 2, kind, **about)
    assert not rights.grant_for(str(USER), video())
    assert bool(rights.grant_for(str(other), video())) == ("user" in about)
    assert rights.grant_for(str(other), video(course=TEACHER))
    await check_memory_is_the_file(rights, database)


@pytest.mark.parametrize("kind", ["video_deleted", "lesson_preview_changed"])
async def test_a_change_of_one_video_ends_its_previews_and_not_the_course(
    rights: Rights, database: Database, kind: str
) -> None:
    other, elsewhere = uuid4(), uuid4()
    await rights.remember(grant(), EPOCH)
    for video_id in (VIDEO, elsewhere):
        await rights.remember(grant(via="preview", user=other, video_id=video_id), EPOCH)
    await apply(rights, 2, kind, video=VIDEO, course=COURSE)
    assert rights.grant_for(str(USER), video())
    assert not rights.grant_for(str(other), video())
    assert rights.grant_for(str(other), video(video_id=elsewhere))
    assert not await rights.remember(grant(1, via="preview", user=other), EPOCH)
    await check_memory_is_the_file(rights, database)


async def test_of_a_practice_video_ends_what_a_change_names_and_never_its_owners(
    rights: Rights, database: Database
) -> None:
    """Practice videos are kept by their owner's id, as others are by their course's."""
    admin, friend, other, mine = uuid4(), uuid4(), uuid4(), video(course=TEACHER, owner=TEACHER)

    def watching() -> list[bool]:
        return [rights.grant_for(str(user), mine) is not None for user in (TEACHER, admin, friend, other)]

    async def everybody_watches() -> None:
        version = rights.position.number if rights.position else 0
        await rights.remember(grant(version, user=TEACHER, via="owner", course=TEACHER), EPOCH)
        await rights.remember(grant(version, user=admin, via="review", course=TEACHER), EPOCH)
        await rights.remember(grant(version, user=friend, via="shared", course=TEACHER), EPOCH)
        await rights.remember(grant(version, user=other, via="public", course=TEACHER), EPOCH)
        assert watching() == [True] * 4

    await everybody_watches()
    await apply(rights, 2, "video_unshared", user=friend, course=TEACHER, video=VIDEO)
    assert watching() == [True, True, False, True]
    await everybody_watches()
    await apply(rights, 3, "video_visibility_changed", course=TEACHER, video=VIDEO)
    assert watching() == [True, True, False, False]
    await everybody_watches()
    await apply(rights, 4, "video_visibility_changed", course=TEACHER, video=uuid4())
    assert watching() == [True] * 4
    await apply(rights, 5, "practice_videos_hidden", course=TEACHER)
    assert watching() == [False] * 4
    await check_memory_is_the_file(rights, database)


@pytest.mark.parametrize("kind", ["key_granted", "course_published", "user_activated", "video_shared"])
async def test_a_change_that_only_adds_ends_nothing(rights: Rights, kind: str) -> None:
    await rights.remember(grant(), EPOCH)
    await apply(rights, 2, kind, user=USER, course=COURSE)
    assert rights.grant_for(str(USER), video())


async def test_a_change_of_a_kind_from_a_later_release_ends_what_it_names(rights: Rights, database: Database) -> None:
    """Every id that it names has to be the grant's."""
    other = uuid4()
    for user in (USER, other):
        await rights.remember(grant(user=user), EPOCH)
        await rights.remember(grant(user=user, course=TEACHER), EPOCH)
    await apply(rights, 2, "something new", user=USER, course=COURSE)
    left = {(viewer, course) for viewer in (USER, other) for course in (COURSE, TEACHER)} - {(USER, COURSE)}
    for viewer, course in left:
        assert rights.grant_for(str(viewer), video(course=course))
    assert not rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)
    await apply(rights, 3, "something else", user=other)
    assert len(rights) == 1
    await apply(rights, 4, "all is different now")
    assert len(rights) == 0
    assert not await rights.remember(grant(3), EPOCH)
    await check_memory_is_the_file(rights, database)


async def test_an_older_revocation_does_not_replace_a_newer_one(rights: Rights) -> None:
    await rights.end_course(str(COURSE), position(9))
    await apply(rights, 7, course=COURSE)
    assert not await rights.remember(grant(version=8), EPOCH)


async def test_a_teacher_ends_every_grant_of_their_course_and_no_others(rights: Rights, database: Database) -> None:
    viewers = [uuid4() for _ in range(5)]
    for viewer in viewers:
        await rights.remember(grant(user=viewer), EPOCH)
    kept = grant(user=viewers[0], course=uuid4())
    await rights.remember(kept, EPOCH)
    await rights.end_course(str(COURSE), position(2))
    assert len(rights) == 1
    assert rights.grant_for(str(viewers[0]), video(course=UUID(kept.scope.course_id))) == kept
    await check_memory_is_the_file(rights, database)


async def test_a_grant_on_its_way_while_the_course_ends_is_never_seen(rights: Rights, database: Database) -> None:
    """Whichever of the two comes first."""
    for round_ in range(20):
        course = uuid4()
        jobs = [rights.remember(grant(1, course=course), EPOCH), rights.end_course(str(course), position(2))]
        await asyncio.gather(*(jobs if round_ % 2 else reversed(jobs)))
        assert not rights.grant_for(str(USER), video(course=course))
    await check_memory_is_the_file(rights, database)


async def test_a_grant_that_was_found_wrong_is_ended_alone(rights: Rights, database: Database) -> None:
    wrong, right = grant(), grant(user=TEACHER)
    for one in (wrong, right):
        await rights.remember(one, EPOCH)
    assert rights.holds(wrong)
    await rights.end([wrong.scope], wrong.version)
    assert (rights.holds(wrong), rights.holds(right)) == (False, True)
    await check_memory_is_the_file(rights, database)


# --- teachers -------------------------------------------------------------------------------------------


async def test_a_teacher_is_remembered_until_forgotten(rights: Rights, database: Database) -> None:
    await rights.remember_standing(OMAR, standing())
    assert rights.standing(OMAR) == standing()
    await check_memory_is_the_file(rights, database)
    await rights.forget_standing(OMAR.id)
    assert rights.standing(OMAR) is None
    await check_memory_is_the_file(rights, database)


async def test_what_was_told_to_one_token_is_not_told_to_one_of_another_generation(rights: Rights) -> None:
    await rights.remember_standing(viewer_of(TEACHER, 1), standing())
    assert rights.standing(viewer_of(TEACHER, 1))
    assert rights.standing(viewer_of(TEACHER, 0)) is rights.standing(viewer_of(TEACHER, 2)) is None


@pytest.mark.parametrize("kind", ["teacher_verified", "teacher_demoted", "user_role_changed"])
async def test_a_standing_from_before_a_change_is_not_believed(rights: Rights, database: Database, kind: str) -> None:
    await apply(rights, 4, kind, user=TEACHER)
    await rights.remember_standing(OMAR, standing(3))
    assert rights.standing(OMAR) is None
    await rights.remember_standing(OMAR, standing(4))
    assert rights.standing(OMAR)
    await check_memory_is_the_file(rights, database)


async def test_a_demotion_forgets_what_a_teacher_could_do(rights: Rights, database: Database) -> None:
    await rights.remember_standing(OMAR, standing())
    await apply(rights, 2, "teacher_demoted", user=TEACHER)
    assert rights.standing(OMAR) is None
    await check_memory_is_the_file(rights, database)


async def test_a_deleted_course_forgets_what_its_teacher_could_do(rights: Rights, database: Database) -> None:
    await rights.remember_standing(OMAR, standing())
    await apply(rights, 2, course=COURSE)
    assert rights.standing(OMAR) is None
    await check_memory_is_the_file(rights, database)


async def test_an_older_standing_does_not_replace_a_newer_one(rights: Rights, database: Database) -> None:
    await rights.remember_standing(OMAR, standing(5))
    await rights.remember_standing(OMAR, standing(4, courses=()))
    assert rights.standing(OMAR) == standing(5)
    await check_memory_is_the_file(rights, database)


async def test_a_standing_from_before_its_course_was_deleted_is_not_believed(rights: Rights) -> None:
    await apply(rights, 11, course=COURSE)
    await rights.remember_standing(OMAR, standing(10))
    assert rights.standing(OMAR) is None
    await rights.remember_standing(OMAR, standing(11, courses=()))
    assert rights.standing(OMAR)


# --- the feed's side ------------------------------------------------------------------------------------


async def test_a_reset_drops_everything_cached_and_keeps_the_new_position(rights: Rights, database: Database) -> None:
    await rights.remember(grant(), EPOCH)
    await rights.remember_standing(OMAR, standing())
    await apply(rights, 5, course=uuid4())
    other = uuid4()
    await rights.reset(position(2, other), MARK)
    assert (len(rights), rights.position) == (0, position(2, other))
    for table in ("grants", "teachers"):
        assert await database.fetch(f"SELECT * FROM {table}") == []
    await check_memory_is_the_file(rights, database)


async def test_an_answer_from_before_a_reset_is_not_believed(rights: Rights, database: Database) -> None:
    await rights.reset(position(20), MARK)
    assert not await rights.remember(grant(version=10), EPOCH)
    await rights.remember_standing(OMAR, standing(10))
    assert rights.standing(OMAR) is None
    assert await rights.remember(grant(version=20), EPOCH)
    await check_memory_is_the_file(rights, database)


async def test_after_a_reset_to_lower_numbers_new_answers_are_believed(rights: Rights, database: Database) -> None:
    await apply(rights, 50, course=COURSE)
    restored = uuid4()
    await rights.reset(position(3, restored), MARK)
    assert await rights.remember(grant(version=4), restored)
    assert rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)


async def test_applying_the_same_changes_again_changes_nothing(rights: Rights, database: Database) -> None:
    await rights.remember(grant(version=9), EPOCH)
    for _ in range(2):
        await apply(rights, 1, course=uuid4())
    assert rights.grant_for(str(USER), video())
    await check_memory_is_the_file(rights, database)


async def test_when_the_file_cannot_be_written_memory_allows_no_more_than_it(
    rights: Rights, database: Database
) -> None:
    """The disk is full, or locked: the right is denied at once, and what was not stored is not shown."""
    await rights.remember(grant(), EPOCH)
    async with database.transaction() as transaction:
        for when in ("INSERT", "DELETE"):
            refusal = f"CREATE TRIGGER no_{when} BEFORE {when} ON grants BEGIN SELECT RAISE(ABORT, 'full'); END"
            await transaction.execute(refusal)
    another = uuid4()
    failed = await asyncio.gather(
        rights.remember(grant(course=another), EPOCH),
        rights.end_course(str(COURSE), position(2)),
        return_exceptions=True,
    )
    assert all(isinstance(error, Exception) for error in failed), failed
    assert not rights.grant_for(str(USER), video(course=another))
    assert not rights.grant_for(str(USER), video())
    assert [row["course_id"] for row in await database.fetch("SELECT * FROM grants")] == [str(COURSE)]


def test_a_scope_covers_what_it_names() -> None:
    everything, one = Scope(ANY, ANY, ANY), Scope("sara", "oud", "v1")
    assert everything.covers(one)
    assert Scope("sara", ANY, ANY).covers(one)
    assert one.covers(one)
    assert not Scope("sara", "oud", "v2").covers(one)
    assert not one.covers(Scope("sara", "oud", ANY))
