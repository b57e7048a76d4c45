"""A node compares itself with the VPS: courses by digest, the videos of those that differ, and grants."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from uuid_utils.compat import uuid7

from shared.contract import (
    DELETIONS,
    RECONCILE_COURSES,
    RECONCILE_GRANTS,
    RECONCILE_VIDEOS,
    RECONCILED,
    CourseDigest,
    CoursesHeld,
    DeletionQuestion,
    GrantsHeld,
    Reconciliation,
    VideosHeld,
    VideoStatus,
    course_digest,
)
from tests.vps.nodes import another_node
from tests.vps.people import (
    Course,
    Person,
    announced,
    buy,
    done,
    draft_course,
    make_student,
    make_teacher,
    published_course,
    sign_in,
    store_video,
)
from tests.vps.running import Node, Vps

pytestmark = pytest.mark.anyio

SHA256 = "ab" * 32


def digest(course: Course, *videos: UUID, sha256: str = SHA256, status: VideoStatus = "processing") -> CourseDigest:
    held = course_digest([(video, sha256, status) for video in videos])
    return CourseDigest(course_id=UUID(course.id), videos=len(videos), digest=held)


async def differing(node: Node, *courses: CourseDigest, **bounds: UUID) -> list[str]:
    held = CoursesHeld(courses=list(courses), **bounds)
    found: list[str] = done(await node.post(RECONCILE_COURSES, held))["differing"]
    return found


async def compared(node: Node, course: Course, *videos: UUID, **other: Any) -> Any:
    """What is to be done about the course's videos, without what is nothing."""
    state = {"size": 1_000_000, "sha256": SHA256, "status": "processing"} | other
    held = {"course_id": course.id, "videos": [{"video_id": video, **state} for video in videos]}
    answer = done(await node.post(RECONCILE_VIDEOS, VideosHeld.model_validate(held)))
    return {name: found for name, found in answer.items() if found}


async def is_missing(vps: Vps, video: UUID) -> bool:
    row = await vps.row("SELECT missing_since FROM videos WHERE id = :id", id=video)
    return row["missing_since"] is not None


@pytest.fixture
async def teacher(vps: Vps) -> Person:
    return await make_teacher(vps)


@pytest.fixture
async def course(vps: Vps, teacher: Person) -> Course:
    """With one video, on the first node."""
    course = await published_course(vps, teacher)
    await store_video(vps, course)
    return course


# --- courses ------------------------------------------------------------------------------------------------


async def test_courses_that_both_know_alike_do_not_differ(vps: Vps, course: Course) -> None:
    assert await differing(vps.node, digest(course, *course.videos)) == []


async def test_courses_differ_by_count_by_content_and_when_one_side_lacks_them(
    vps: Vps, teacher: Person, course: Course
) -> None:
    empty = await draft_course(teacher)
    assert await differing(vps.node) == [course.id]
    assert await differing(vps.node, digest(course, *course.videos, uuid7())) == [course.id]
    assert await differing(vps.node, digest(course, uuid7())) == [course.id]
    assert await differing(vps.node, digest(course, *course.videos, sha256="cd" * 32)) == [course.id]
    assert await differing(vps.node, digest(course, *course.videos, status="ready")) == [course.id]
    assert await differing(vps.node, digest(course, *course.videos), digest(empty, uuid7())) == [empty.id]
    stranger = CourseDigest(course_id=uuid7(), videos=1, digest=SHA256)
    assert await differing(vps.node, digest(course, *course.videos), stranger) == [str(stranger.course_id)]


async def test_a_node_is_compared_by_its_own_videos_only(vps: Vps, course: Course) -> None:
    other = await another_node(vps)
    assert await differing(other) == []
    assert await differing(other, digest(course, *course.videos)) == [course.id]


async def test_deleted_courses_and_videos_should_be_held_by_nobody(vps: Vps, teacher: Person, course: Course) -> None:
    second = await draft_course(teacher)
    video = await store_video(vps, second)
    question = DeletionQuestion(user_id=teacher.id, generation=0, video_id=video)
    done(await vps.node.post(DELETIONS, question))
    await teacher.delete(course.path)
    assert await differing(vps.node) == []
    held = [digest(course, *course.videos), digest(second, video)]
    assert await differing(vps.node, *held) == sorted([course.id, second.id])


async def test_a_long_list_is_compared_in_parts(vps: Vps, teacher: Person) -> None:
    courses = [await draft_course(teacher) for _ in range(3)]
    for course in courses:
        await store_video(vps, course)
    first, second, third = sorted(courses, key=lambda course: course.id)
    assert await differing(vps.node, digest(first, *first.videos), up_to=UUID(first.id)) == []
    assert await differing(vps.node, after=UUID(first.id), up_to=UUID(second.id)) == [second.id]
    assert await differing(vps.node, after=UUID(second.id)) == [third.id]
    assert await differing(vps.node, after=UUID(third.id)) == []


# --- videos -------------------------------------------------------------------------------------------------


async def test_a_video_nobody_announced_is_unknown_and_one_that_both_have_is_nothing(vps: Vps, course: Course) -> None:
    stray = uuid7()
    assert await compared(vps.node, course, *course.videos) == {}
    assert await compared(vps.node, course, *course.videos, stray) == {"unknown": [str(stray)]}


async def test_a_video_in_another_state_is_to_be_announced_again(vps: Vps, course: Course) -> None:
    (video,) = course.videos
    for status in ("ready", "error"):
        assert await compared(vps.node, course, video, status=status) == {"unknown": [str(video)]}
    assert await compared(vps.node, course, video, status=None) == {}  # as a node of an earlier release says it
    assert await compared(vps.node, course, video, status="ready", size=1) == {"missing": [str(video)]}
    assert await compared(await another_node(vps), course, video, status="ready") == {}


async def test_what_was_deleted_here_is_gone(vps: Vps, teacher: Person, course: Course) -> None:
    (video,) = course.videos
    question = DeletionQuestion(user_id=teacher.id, generation=0, video_id=video)
    done(await vps.node.post(DELETIONS, question))
    assert await compared(vps.node, course, video) == {"gone": [str(video)]}
    assert await compared(vps.node, course) == {}
    await teacher.delete(course.path)
    stray = uuid7()
    assert await compared(vps.node, course, video, stray) == {"gone": sorted([str(video), str(stray)])}


async def test_videos_of_a_course_that_this_database_has_lost_are_unknown_not_gone(vps: Vps, course: Course) -> None:
    course.id, stray = str(uuid7()), uuid7()
    assert await compared(vps.node, course, stray) == {"unknown": [str(stray)]}


async def test_a_video_the_node_has_not_is_missing_until_it_is_found_again(vps: Vps, course: Course) -> None:
    (video,) = course.videos
    for _ in range(2):
        assert await compared(vps.node, course) == {"missing": [str(video)]}
        assert await is_missing(vps, video)
    since = await vps.row("SELECT missing_since FROM videos")
    await compared(vps.node, course)
    assert await vps.row("SELECT missing_since FROM videos") == since
    assert await differing(vps.node) == []  # about what is known to be missing the two agree
    assert await differing(vps.node, digest(course, video)) == [course.id]
    assert await compared(vps.node, course, video) == {}
    assert not await is_missing(vps, video)
    assert await differing(vps.node, digest(course, video)) == []


async def test_a_missing_video_makes_room_for_another_of_its_lesson_and_is_gone_for_good(
    vps: Vps, course: Course
) -> None:
    """As after a restore: the node had replaced it since."""
    (lost,) = course.videos
    assert await compared(vps.node, course) == {"missing": [str(lost)]}
    found = await store_video(vps, course)
    kept = await vps.rows("SELECT id, deleted_at IS NOT NULL AS is_deleted FROM videos")
    assert {row["id"]: row["is_deleted"] for row in kept} == {lost: True, found: False}
    assert await differing(vps.node, digest(course, found)) == []
    assert await compared(vps.node, course, lost, found) == {"gone": [str(lost)]}


@pytest.mark.parametrize("content", [{"size": 999_999}, {"sha256": "cd" * 32}])
async def test_a_video_of_another_content_is_missing(vps: Vps, course: Course, content: dict[str, Any]) -> None:
    (video,) = course.videos
    assert await compared(vps.node, course, video, **content) == {"missing": [str(video)]}
    assert await is_missing(vps, video)


async def test_another_nodes_videos_are_neither_missing_nor_gone_nor_unknown_here(vps: Vps, course: Course) -> None:
    other = await another_node(vps)
    (video,) = course.videos
    assert await compared(other, course) == {}
    assert await compared(other, course, video, sha256="cd" * 32) == {}
    assert not await is_missing(vps, video)


async def test_a_node_finds_no_video_again_that_another_one_misses(vps: Vps, course: Course) -> None:
    (video,) = course.videos
    await compared(vps.node, course)
    assert await compared(await another_node(vps), course, video) == {}
    assert await is_missing(vps, video)


async def test_comparing_announces_no_change(vps: Vps, course: Course) -> None:
    before = await announced(vps)
    await compared(vps.node, course, uuid7())
    await differing(vps.node)
    assert await announced(vps) == before


# --- grants -------------------------------------------------------------------------------------------------


def grant(person: Person, course: Course, via: str, video: UUID | None = None, generation: int = 0) -> dict[str, Any]:
    named = {"user_id": person.id, "course_id": course.id, "video_id": video}
    return named | {"via": via, "generation": generation}


async def wrong(vps: Vps, *grants: dict[str, Any]) -> list[int]:
    held = GrantsHeld.model_validate({"grants": grants})
    found: list[int] = done(await vps.node.post(RECONCILE_GRANTS, held))["wrong"]
    return found


@pytest.mark.usefixtures("simulator")
async def test_grants_that_would_be_given_now_are_right_and_others_are_wrong(
    vps: Vps, teacher: Person, course: Course
) -> None:
    buyer, stranger, admin = await make_student(vps), await make_student(vps, "ali"), await sign_in(vps, "root-admin")
    other = await published_course(vps, await make_teacher(vps, "huda"))
    preview = await published_course(vps, teacher, preview=True)
    shown = await store_video(vps, preview)
    await buy(buyer, course)
    right = [
        grant(buyer, course, "key"),
        grant(teacher, course, "owner"),
        grant(admin, course, "review"),
        grant(stranger, preview, "preview", shown),
    ]
    amiss = [
        grant(stranger, course, "key"),
        grant(buyer, other, "key"),
        grant(teacher, other, "owner"),
        grant(stranger, preview, "preview"),
        grant(stranger, course, "preview", course.videos[0]),
        grant(stranger, preview, "preview", uuid7()),
        grant(buyer, course, "key", generation=1),
        grant(buyer, course, "key") | {"user_id": uuid4()},
        grant(buyer, course, "key") | {"course_id": uuid4()},
    ]
    mixed = [each for pair in zip(amiss, [*right, *right, right[0]], strict=True) for each in pair]
    assert await wrong(vps, *right) == []
    assert await wrong(vps, *mixed) == list(range(0, 18, 2))
    assert await wrong(vps) == []


@pytest.mark.usefixtures("simulator")
async def test_grants_are_wrong_after_a_refund_a_ban_a_sign_out_and_a_deletion(
    vps: Vps, teacher: Person, course: Course
) -> None:
    refunded, banned, gone, kept = [await make_student(vps, name) for name in ("refunded", "banned", "gone", "kept")]
    payments = {person.username: await buy(person, course) for person in (refunded, banned, gone, kept)}
    held = [grant(person, course, "key") for person in (refunded, banned, gone, kept)]
    assert await wrong(vps, *held) == []
    admin = await sign_in(vps, "root-admin")
    done(await admin.post(f"/api/admin/payments/{payments['refunded']['payment']['id']}/refund"))
    assert await wrong(vps, *held) == [0]
    done(await admin.post(f"/api/admin/users/{banned.id}/ban"))
    assert await wrong(vps, *held) == [0, 1]
    done(await gone.delete("/api/auth/sessions"), 204)
    assert await wrong(vps, *held) == [0, 1, 2]
    await teacher.delete(course.path)
    assert await wrong(vps, *held, grant(teacher, course, "owner")) == [0, 1, 2, 3, 4]


async def test_a_preview_that_is_none_any_more_is_wrong(vps: Vps, teacher: Person) -> None:
    student, course = await make_student(vps), await published_course(vps, teacher, preview=True)
    held = grant(student, course, "preview", await store_video(vps, course))
    assert await wrong(vps, held) == []
    coming = await store_video(vps, course, replaces=held["video_id"])
    assert await wrong(vps, grant(student, course, "preview", coming)) == [0]  # nobody's before it is ready
    done(await teacher.patch(f"/api/lessons/{course.lesson_id}", {"is_preview": False}))
    assert await wrong(vps, held) == [0]
    done(await teacher.patch(f"/api/lessons/{course.lesson_id}", {"is_preview": True}))
    done(await teacher.post(f"{course.path}/archive"))
    assert await wrong(vps, held) == [0]


# --- and when it is done --------------------------------------------------------------------------------------


async def test_what_a_node_found_is_kept_and_an_older_word_does_not_undo_a_newer_wish(vps: Vps) -> None:
    figures = {"courses": 2, "videos": 3, "grants": 4, "differing_courses": 1, "announced": 1, "removed": 0}
    figures |= {"missing": 1, "grants_ended": 2}
    for order in (2, 1):
        done(await vps.node.post(RECONCILED, Reconciliation.model_validate(figures | {"order": order})))
    row = await vps.row("SELECT reconciled_order, reconciliation, reconciled_at FROM nodes")
    assert (row["reconciled_order"], row["reconciliation"]) == (2, figures)
    assert row["reconciled_at"] is not None
