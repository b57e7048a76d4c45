"""Replacing a lesson's video: the old one plays until the new one is ready, and then is gone."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from shared.contract import DELETIONS, EVENTS, RECONCILE_VIDEOS, DeletionQuestion, VideosHeld
from tests.vps.nodes import another_node
from tests.vps.people import (
    Course,
    Person,
    VideoEvent,
    access,
    again,
    announced,
    delete_video,
    done,
    lesson_shown,
    make_student,
    make_teacher,
    published_course,
    sign_in,
    store_video,
    told,
    upload_rights,
    verify_teacher,
    video_stored,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


@pytest.fixture
async def teacher(vps: Vps) -> Person:
    teacher = await make_teacher(vps)
    await verify_teacher(vps, teacher)
    return teacher


@pytest.fixture
async def course(vps: Vps, teacher: Person) -> Course:
    """Free, with a preview lesson that has a video: `old`."""
    return await published_course(vps, teacher, amount=0, preview=True)


@pytest.fixture
async def old(vps: Vps, course: Course) -> UUID:
    return await store_video(vps, course, status="ready")


async def replacing(vps: Vps, course: Course, old: UUID, **changes: Any) -> VideoEvent:
    """A video that is to take the old one's place, which its node told of."""
    event = video_stored(course, replaces=old, **changes)
    assert await told(vps.node, event) == "applied"
    return event


async def living(vps: Vps) -> dict[UUID, UUID | None]:
    """Each video that is not deleted, with what it is to replace."""
    return {row["id"]: row["replaces_id"] for row in await vps.rows("SELECT * FROM videos WHERE deleted_at IS NULL")}


async def deleted(vps: Vps) -> list[str]:
    """The videos whose deletion was announced."""
    return [change["video_id"] for change in await announced(vps, "video_deleted")]


async def ask(vps: Vps, course: Course, **what: Any) -> tuple[str | None, str | None]:
    """Why the teacher may not upload into the lesson, or else what that would replace."""
    answer = await upload_rights(vps.node, course.teacher, lesson_id=course.lesson_id, **what)
    return answer["reason"], answer["replaces"]


# --- may it be uploaded? ------------------------------------------------------------------------------------


async def test_a_lesson_with_a_video_takes_another_only_in_its_place_and_one_at_a_time(
    vps: Vps, course: Course
) -> None:
    assert await ask(vps, course, replace=True) == (None, None)  # an ordinary upload
    old = await store_video(vps, course)
    assert await ask(vps, course) == ("lesson_has_video", None)
    assert await ask(vps, course, replace=True) == (None, str(old))
    event = await replacing(vps, course, old)
    assert await ask(vps, course, replace=True) == ("replacement_under_way", None)
    assert await told(vps.node, again(event, status="ready")) == "applied"
    assert await ask(vps, course, replace=True) == (None, str(event.about.video_id))


async def test_replacing_is_for_the_teacher_of_the_course(vps: Vps, course: Course, old: UUID) -> None:
    other, student = await make_teacher(vps, "huda"), await make_student(vps)
    failed = (await replacing(vps, course, old, status="error")).about.video_id
    for person, reason in ((other, "lesson_not_found"), (student, "not_a_teacher")):
        answer = await upload_rights(vps.node, person, lesson_id=course.lesson_id, replace=True)
        assert (answer["reason"], answer["replaces"]) == (reason, None)
    assert await living(vps) == {old: None, failed: old}


async def test_a_replacement_that_failed_makes_room_for_the_next_try(vps: Vps, course: Course, old: UUID) -> None:
    event = await replacing(vps, course, old)
    failed = event.about.video_id
    assert await told(vps.node, again(event, status="error", reason="It ends early.")) == "applied"
    answers = await asyncio.gather(*(ask(vps, course, replace=True) for _ in range(10)))
    assert set(answers) == {(None, str(old))}
    assert await deleted(vps) == [str(failed)]
    assert await living(vps) == {old: None}
    assert await told(vps.node, again(event, status="ready")) == "unwanted"


# --- while it is made ready ---------------------------------------------------------------------------------


async def test_until_it_is_ready_the_old_one_plays_and_only_teacher_and_admins_know_of_it(
    vps: Vps, course: Course, old: UUID
) -> None:
    new = (await replacing(vps, course, old)).about.video_id
    student, admin = await make_student(vps), await sign_in(vps, "root-admin")
    links = done(await student.post(f"{course.path}/enroll"), 201)["videos"]
    assert [str(old) in link["uri"] for link in links] == [True]
    assert await access(vps, student, old) == (True, "granted", "key")
    for person, via in ((course.teacher, "owner"), (admin, "review")):
        assert await access(vps, person, new) == (True, "granted", via)
        lesson = await lesson_shown(person, course)
        assert (lesson["video_id"], lesson["replacement"]["id"]) == (str(old), str(new))
        assert lesson["replacement"]["status"] == "processing"
    for person in (student, await make_student(vps, "ali")):
        assert await access(vps, person, new) == (False, "video_not_found", None)
        lesson = await lesson_shown(person, course)
        assert (lesson["video_id"], lesson["replacement"]) == (str(old), None)


@pytest.mark.parametrize("at_once", [True, False])
async def test_ready_it_takes_the_place_of_the_old_one_which_is_gone(
    vps: Vps, course: Course, old: UUID, at_once: bool
) -> None:
    student = await make_student(vps)
    event = video_stored(course, replaces=old, status="ready")
    if not at_once:
        assert await told(vps.node, again(event, status="processing")) == "applied"
    assert await told(vps.node, event) == "applied"
    assert await living(vps) == {event.about.video_id: None}
    assert await deleted(vps) == [str(old)]
    assert await access(vps, student, old) == (False, "video_not_found", None)
    assert await access(vps, student, event.about.video_id) == (True, "granted", "preview")
    lesson = await lesson_shown(course.teacher, course)
    assert (lesson["video_id"], lesson["replacement"]) == (str(event.about.video_id), None)


async def test_told_again_and_late_it_stays_ready_and_the_old_one_is_deleted_once(
    vps: Vps, course: Course, old: UUID
) -> None:
    event = await replacing(vps, course, old)
    ready = [again(event, status="ready") for _ in range(10)]
    answers = await asyncio.gather(*(vps.node.post(EVENTS, event) for event in ready))
    assert {done(answer)["verdict"] for answer in answers} == {"applied"}
    for late in (event, again(event)):
        assert await told(vps.node, late) == "applied"
    assert await living(vps) == {event.about.video_id: None}
    assert (await vps.row("SELECT status FROM videos WHERE deleted_at IS NULL"))["status"] == "ready"
    assert await deleted(vps) == [str(old)]


async def test_when_it_fails_the_old_one_stays_and_its_teacher_may_delete_it(
    vps: Vps, course: Course, old: UUID
) -> None:
    event = await replacing(vps, course, old)
    new = event.about.video_id
    assert await told(vps.node, again(event, status="error", reason="It ends early.")) == "applied"
    assert await living(vps) == {old: None, new: old}
    shown = (await lesson_shown(course.teacher, course))["replacement"]
    assert (shown["status"], shown["reason"]) == ("error", "It ends early.")
    assert await delete_video(vps, course.teacher, new) == (True, None)
    assert await living(vps) == {old: None}
    assert await deleted(vps) == [str(new)]


# --- when the old one goes meanwhile ------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["processing", "error"])
async def test_when_the_old_one_is_deleted_the_lesson_has_the_new_one_in_whatever_state(
    vps: Vps, course: Course, old: UUID, status: str
) -> None:
    event = await replacing(vps, course, old, status=status)
    assert await delete_video(vps, course.teacher, old) == (True, None)
    assert await living(vps) == {event.about.video_id: None}
    lesson = await lesson_shown(course.teacher, course)
    assert (lesson["video_id"], lesson["status"]) == (str(event.about.video_id), status)
    assert await told(vps.node, again(event, status="ready")) == "applied"
    assert await deleted(vps) == [str(old)]


async def test_one_whose_predecessor_was_deleted_before_it_was_told_of_is_the_lessons(
    vps: Vps, course: Course, old: UUID
) -> None:
    assert await delete_video(vps, course.teacher, old) == (True, None)
    event = await replacing(vps, course, old)
    assert await living(vps) == {event.about.video_id: None}


async def test_deleting_the_old_one_while_the_new_one_becomes_ready_leaves_the_new_one(
    vps: Vps, course: Course, old: UUID
) -> None:
    gone = old
    for _ in range(10):
        event = await replacing(vps, course, gone)
        question = DeletionQuestion(user_id=course.teacher.id, generation=0, video_id=gone)
        answers = await asyncio.gather(
            vps.node.post(DELETIONS, question), vps.node.post(EVENTS, again(event, status="ready"))
        )
        assert [done(answer).get("verdict", True) for answer in answers] == [True, "applied"]
        assert await living(vps) == {event.about.video_id: None}
        assert (await deleted(vps)).count(str(gone)) == 1
        gone = event.about.video_id


async def test_the_new_one_of_a_course_that_is_deleted_is_unwanted(vps: Vps, course: Course, old: UUID) -> None:
    event = await replacing(vps, course, old)
    await course.teacher.delete(course.path)
    assert await told(vps.node, again(event, status="ready")) == "unwanted"
    assert await deleted(vps) == []


# --- of two -------------------------------------------------------------------------------------------------


async def test_of_many_at_once_one_is_taken_and_none_of_the_others_is_thrown_away(
    vps: Vps, course: Course, old: UUID
) -> None:
    events = [video_stored(course, replaces=old) for _ in range(10)]
    verdicts = await asyncio.gather(*(told(vps.node, event) for event in events))
    assert sorted(verdicts) == ["applied", *["unknown"] * 9]
    taken = events[verdicts.index("applied")]
    ready = [again(event, status="ready") for event in events if event is not taken]
    assert {await told(vps.node, event) for event in ready} == {"unknown"}
    assert await living(vps) == {old: None, taken.about.video_id: old}
    assert await told(vps.node, again(taken, status="ready")) == "applied"
    assert {await told(vps.node, event) for event in ready} == {"unknown"}  # what they were to replace is gone
    assert await living(vps) == {taken.about.video_id: None}


@pytest.mark.parametrize("replaces", [True, False])
async def test_one_that_came_late_on_another_node_stays_in_error_until_its_teacher_deletes_it(
    vps: Vps, course: Course, replaces: bool
) -> None:
    other, old = await another_node(vps), await store_video(vps, course, status="ready") if replaces else None
    first, late = video_stored(course, replaces=old), video_stored(course, replaces=old)
    assert await told(vps.node, first) == "applied"
    refusals = [done(await other.post(EVENTS, event)) for event in (late, late, again(late, status="ready"))]
    assert refusals == [{"verdict": "refused", "reason": "Another video was first in this lesson."}] * 3
    row = await vps.row("SELECT status, reason, node_id FROM videos WHERE id = :id", id=late.about.video_id)
    assert tuple(row.values()) == ("error", "Another video was first in this lesson.", "node-2")
    assert (await access(vps, course.teacher, late.about.video_id))[0] is True
    assert await access(vps, await make_student(vps), late.about.video_id) == (False, "video_not_found", None)

    assert await told(vps.node, again(first, status="ready")) == "applied"
    lesson = await lesson_shown(course.teacher, course)
    assert (lesson["video_id"], lesson["replacement"]["id"]) == (str(first.about.video_id), str(late.about.video_id))
    assert await ask(vps, course, replace=True) == (None, lesson["video_id"])
    assert await delete_video(vps, course.teacher, first.about.video_id) == (True, None)
    assert await ask(vps, course) == (None, None)  # what came late takes no place
    assert await delete_video(vps, course.teacher, late.about.video_id) == (True, None)
    assert await living(vps) == {}


async def test_what_was_ready_before_is_not_refused_by_a_database_that_was_set_back(vps: Vps, course: Course) -> None:
    """The video that the database remembers in the lesson may be one that was deleted since."""
    old, other = await store_video(vps, course, status="ready"), await another_node(vps)
    event = video_stored(course, status="ready")
    assert await told(other, event) == "unknown"
    done(await vps.node.post(RECONCILE_VIDEOS, VideosHeld.model_validate({"course_id": course.id, "videos": []})))
    assert await told(other, event) == "applied"
    assert old not in await living(vps)


async def test_on_another_node_than_the_old_one_it_takes_its_place_too(vps: Vps, course: Course, old: UUID) -> None:
    other = await another_node(vps)
    event = video_stored(course, replaces=old)
    assert await told(other, event) == "applied"
    assert await told(other, again(event, status="ready")) == "applied"
    assert await living(vps) == {event.about.video_id: None}
    assert (await lesson_shown(course.teacher, course))["uri"].startswith("http://node-2.test/videos/")


async def test_a_missing_video_is_replaced_when_the_new_one_is_ready_and_makes_no_room_for_a_third(
    vps: Vps, course: Course, old: UUID
) -> None:
    done(await vps.node.post(RECONCILE_VIDEOS, VideosHeld.model_validate({"course_id": course.id, "videos": []})))
    event = await replacing(vps, course, old)
    assert await told(vps.node, video_stored(course)) == "unknown"
    assert await living(vps) == {old: None, event.about.video_id: old}
    assert await told(vps.node, again(event, status="ready")) == "applied"
    assert await living(vps) == {event.about.video_id: None}
