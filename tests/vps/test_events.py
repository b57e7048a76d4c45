"""What nodes tell of videos: applied once, and answered for good unless the course is one that nobody knows."""

import asyncio
import json
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from shared.contract import DELETIONS, EVENTS, DeletionQuestion, Event
from tests.vps.nodes import another_node
from tests.vps.people import (
    again,
    announced,
    done,
    draft_course,
    make_teacher,
    published_course,
    refused,
    told,
    video_stored,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


async def verdict(vps: Vps, event: Event) -> str:
    return await told(vps.node, event)


async def test_an_event_is_applied_once_however_often_it_is_sent(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    event = video_stored(course)
    answers = await asyncio.gather(*(vps.node.post(EVENTS, event) for _ in range(20)))
    assert [done(answer) for answer in answers] == [{"verdict": "applied", "reason": ""}] * 20
    stored = await vps.row("SELECT * FROM videos")
    assert (stored["id"], stored["node_id"], stored["size"]) == (event.about.video_id, "node-1", 1_000_000)
    assert len(await vps.rows("SELECT 1 FROM received_events")) == 1


async def test_a_video_is_of_the_node_that_told_of_it(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await another_node(vps, "node-2")
    for node in (vps.node, other):
        assert done(await node.post(EVENTS, video_stored(await draft_course(teacher)))) == {
            "verdict": "applied",
            "reason": "",
        }
    assert [row["node_id"] for row in await vps.rows("SELECT node_id FROM videos ORDER BY id")] == ["node-1", "node-2"]


async def test_the_same_video_told_of_by_a_second_event_is_one_video(vps: Vps) -> None:
    event = video_stored(await draft_course(await make_teacher(vps)))
    again = Event(id=uuid7(), about=event.about)  # as after the node's database was lost
    assert [await verdict(vps, event), await verdict(vps, again)] == ["applied", "applied"]
    assert len(await vps.rows("SELECT 1 FROM videos")) == 1


SD = {"name": "sd", "width": 854, "height": 480, "size": 700_000, "bitrate": 448_000}


async def test_a_video_is_in_the_state_that_was_told_last_but_never_unready_again(vps: Vps) -> None:
    event = video_stored(await draft_course(await make_teacher(vps)))

    async def state(**changes: Any) -> tuple[Any, ...]:
        assert await verdict(vps, again(event, **changes)) == "applied"
        return tuple((await vps.row("SELECT status, reason, duration_s, renditions FROM videos")).values())

    assert await state() == ("processing", "", 12.5, [])
    assert await state(status="error", reason="It ends early.") == ("error", "It ends early.", 12.5, [])
    assert await state(status="processing") == ("processing", "", 12.5, [])
    ready = {"status": "ready", "duration_s": 12.48, "renditions": [SD]}
    assert await state(**ready) == ("ready", "", 12.48, [SD])
    assert await state(status="processing") == ("ready", "", 12.48, [SD])
    assert await state(**ready | {"renditions": [SD, SD | {"name": "hd"}]}) == (
        *("ready", "", 12.48),
        [SD, SD | {"name": "hd"}],
    )


async def test_only_the_node_that_holds_a_video_says_how_it_is(vps: Vps) -> None:
    event, other = video_stored(await draft_course(await make_teacher(vps))), await another_node(vps)
    assert await verdict(vps, event) == "applied"
    assert await told(other, again(event, status="ready")) == "applied"
    row = await vps.row("SELECT node_id, status FROM videos")
    assert (row["node_id"], row["status"]) == ("node-1", "processing")


async def test_of_many_videos_for_one_lesson_one_is_taken_and_none_of_the_others_is_thrown_away(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    events = [video_stored(course) for _ in range(10)]
    verdicts = [done(answer)["verdict"] for answer in await asyncio.gather(*(vps.node.post(EVENTS, e) for e in events))]
    assert sorted(verdicts) == ["applied", *["unknown"] * 9]
    (kept,) = await vps.rows("SELECT id FROM videos")
    question = DeletionQuestion(user_id=teacher.id, generation=0, video_id=kept["id"])
    assert done(await vps.node.post(DELETIONS, question))["agreed"] is True
    again = [await verdict(vps, event) for event in events]
    assert sorted(again) == ["applied", "applied", *["unknown"] * 8]  # there is place for one more


async def test_a_deleted_video_told_of_again_is_unwanted(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    event = video_stored(await draft_course(teacher))
    assert await verdict(vps, event) == "applied"
    question = DeletionQuestion(user_id=teacher.id, generation=0, video_id=event.about.video_id)
    done(await vps.node.post(DELETIONS, question))
    assert await verdict(vps, Event(id=uuid7(), about=event.about)) == "unwanted"


async def test_a_video_for_a_lesson_that_is_foreign_or_of_a_deleted_course_is_unwanted(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    course, foreign, deleted = await draft_course(teacher), await draft_course(other), await draft_course(teacher)
    await teacher.delete(deleted.path)
    for event in (
        video_stored(course, course_id=foreign.id),
        video_stored(course, lesson_id=foreign.lesson_id),
        video_stored(foreign, owner_id=teacher.id),
        video_stored(deleted),
    ):
        assert [await verdict(vps, event) for _ in range(2)] == ["unwanted"] * 2
    assert await vps.rows("SELECT 1 FROM videos") == []
    assert len(await vps.rows("SELECT 1 FROM received_events")) == 4


async def test_a_video_of_a_course_that_nobody_knows_is_not_remembered(vps: Vps) -> None:
    """As after a restore from an old backup: the node keeps the video, and asks when the course may be back."""
    course = await draft_course(await make_teacher(vps))
    by_course, by_lesson = video_stored(course, course_id=uuid7()), video_stored(course, lesson_id=uuid7())
    for event in (by_course, by_lesson):
        answers = await asyncio.gather(*(vps.node.post(EVENTS, event) for _ in range(5)))
        assert [done(answer) for answer in answers] == [{"verdict": "unknown", "reason": ""}] * 5
    assert await vps.rows("SELECT 1 FROM received_events") == []
    assert await vps.rows("SELECT 1 FROM videos") == []
    await vps.rows("UPDATE lessons SET id = :id", id=by_lesson.about.lesson_id)
    assert await verdict(vps, by_lesson) == "applied"
    assert await verdict(vps, by_course) == "unknown"


async def test_a_stored_video_is_no_change_of_a_right(vps: Vps) -> None:
    course = await published_course(vps, await make_teacher(vps))
    before = await announced(vps)
    assert await verdict(vps, video_stored(course)) == "applied"
    assert await announced(vps) == before


async def test_an_event_that_says_too_much_too_little_or_nonsense_is_refused_and_changes_nothing(vps: Vps) -> None:
    event = video_stored(await draft_course(await make_teacher(vps))).model_dump(mode="json")
    about: dict[str, Any] = event["about"]
    odd: list[dict[str, Any]] = [
        event | {"node_id": "node-2"},
        event | {"about": about | {"kind": "video_lost"}},
        event | {"about": about | {"size": "many"}},
        event | {"about": about | {"status": "fine"}},
        event | {"about": about | {"video_kind": "film"}},
        event | {"about": {name: about[name] for name in about if name != "sha256"}},
        event | {"id": "1"},
    ]
    for body in odd:
        content = json.dumps(body).encode()
        refused(await vps.node.call("POST", EVENTS, content), 422, "validation_failed")
    assert await vps.rows("SELECT 1 FROM received_events") == []
