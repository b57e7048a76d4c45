"""What nodes tell of playbacks: views counted once, watched stretches added up, two at once over all nodes."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from shared.contract import EVENTS, Event
from shared.playbacks import PlaybacksLost, PlaybackTold
from tests.vps.feed import follower
from tests.vps.nodes import another_node
from tests.vps.people import (
    Person,
    announced,
    delete_video,
    done,
    draft_course,
    lesson_shown,
    make_admin,
    make_student,
    make_teacher,
    practice_stored,
    published_course,
    refused,
    store_video,
    told,
)
from tests.vps.running import Node, Vps
from vps_service.playbacks.actions import forget_unseen

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


def playback(viewer: Person, video: UUID, **changes: Any) -> PlaybackTold:
    about = {
        "playback_id": uuid7(),
        "video_id": video,
        "user_id": viewer.id,
        "began_at": NOW,
        "ends_at": NOW + timedelta(hours=12),
    }
    return PlaybackTold.model_validate(about | changes)


def later(about: PlaybackTold, **changes: Any) -> PlaybackTold:
    return PlaybackTold.model_validate(about.model_dump() | changes)


async def tell(node: Node, about: PlaybackTold | PlaybacksLost) -> str:
    return await told(node, Event(id=uuid7(), about=about))


async def views(person: Person, course: Any) -> Any:
    return (await lesson_shown(person, course))["views"]


async def ends(vps: Vps) -> list[str | None]:
    """How each ended, the oldest first."""
    rows = await vps.rows('SELECT "end", moved_at FROM playbacks ORDER BY began_at, id')
    return [row["end"] or ("moving" if row["moved_at"] else None) for row in rows]


async def test_a_playback_is_a_view_once_anything_was_seen_and_once_only(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    about = playback(student, await store_video(vps, course))
    assert await tell(vps.node, about) == "applied"
    assert await views(teacher, course) == 0
    seen = later(about, viewed_at=NOW)
    answers = await asyncio.gather(*(vps.node.post(EVENTS, Event(id=uuid7(), about=seen)) for _ in range(10)))
    assert {done(answer)["verdict"] for answer in answers} == {"applied"}
    assert await tell(vps.node, about) == "applied"  # late
    assert await views(teacher, course) == 1
    assert await tell(vps.node, later(seen, playback_id=uuid7())) == "applied"
    assert await views(teacher, course) == 2
    assert await vps.rows("SELECT 1 FROM received_events WHERE verdict <> 'applied'") == []


async def test_views_are_shown_to_the_teacher_and_to_admins(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    assert await views(teacher, course) is None  # there is no video yet
    await tell(vps.node, playback(student, await store_video(vps, course), viewed_at=NOW))
    admin = await make_admin(vps, "another-admin")
    shown = [await views(person, course) for person in (teacher, admin, student, await make_teacher(vps, "huda"))]
    assert shown == [1, 1, None, None]


async def test_views_of_a_practice_video_are_its_owners_to_see(vps: Vps) -> None:
    student = await make_student(vps)
    event = practice_stored(student)
    assert await told(vps.node, event) == "applied"
    await tell(vps.node, playback(student, event.about.video_id, viewed_at=NOW))
    (shown,) = done(await student.get("/api/users/me/videos"))["items"]
    assert shown["views"] == 1


async def test_what_was_watched_is_added_up_whatever_order_it_is_told_in(vps: Vps) -> None:
    about = playback(await make_student(vps), uuid7())

    async def add(**changes: Any) -> list[Any]:
        assert await tell(vps.node, later(about, **changes)) == "applied"
        (row,) = await vps.rows("SELECT watched, used_at FROM playbacks")
        return [row["watched"], row["used_at"]]

    minute = timedelta(minutes=1)
    assert await add(watched=[(0, 8), (60, 64)], used_at=NOW + minute) == [[[0, 8], [60, 64]], NOW + minute]
    assert await add(watched=[(0, 4)], used_at=NOW) == [[[0, 8], [60, 64]], NOW + minute]
    assert await add(watched=[(0, 12.5), (60, 64)]) == [[[0, 12.5], [60, 64]], NOW + minute]


async def test_the_first_word_of_its_end_holds(vps: Vps) -> None:
    about = playback(await make_student(vps), uuid7())
    for end in ("expired", "lost"):
        await tell(vps.node, later(about, end=end, ended_at=NOW))
    await tell(vps.node, about)
    assert await ends(vps) == ["expired"]


async def test_a_playback_of_a_deleted_video_or_of_one_that_nobody_knows_does_no_harm(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await draft_course(teacher)
    video = await store_video(vps, course)
    assert await delete_video(vps, teacher, video) == (True, None)
    before = await announced(vps)
    for about in (playback(student, video, viewed_at=NOW), playback(student, uuid7(), user_id=uuid7())):
        assert await tell(vps.node, about) == "applied"
    assert await announced(vps) == before
    assert await views(teacher, course) is None


async def test_another_node_says_nothing_of_it(vps: Vps) -> None:
    about, other = playback(await make_student(vps), uuid7()), await another_node(vps)
    await tell(vps.node, about)
    assert await tell(other, later(about, viewed_at=NOW, end="expired", ended_at=NOW)) == "applied"
    await tell(other, PlaybacksLost(lost_at=NOW + timedelta(hours=1)))
    row = await vps.row('SELECT node_id, viewed_at, "end" FROM playbacks')
    assert tuple(row.values()) == ("node-1", None, None)


async def test_a_node_that_lost_its_database_ends_what_began_before(vps: Vps) -> None:
    student = await make_student(vps)
    for minutes in (0, 2):
        await tell(vps.node, playback(student, uuid7(), began_at=NOW + timedelta(minutes=minutes)))
    for _ in range(2):
        assert await tell(vps.node, PlaybacksLost(lost_at=NOW + timedelta(minutes=1))) == "applied"
    assert await ends(vps) == ["lost", None]


async def test_a_node_whose_clock_is_ahead_ends_none_that_begins_afterwards(vps: Vps) -> None:
    student, now = await make_student(vps), datetime.now(UTC)
    await tell(vps.node, playback(student, uuid7()))
    await tell(vps.node, PlaybacksLost(lost_at=now + timedelta(hours=1)))
    await tell(vps.node, playback(student, uuid7(), began_at=datetime.now(UTC)))
    await tell(vps.node, PlaybacksLost(lost_at=now - timedelta(minutes=1)))
    row = await vps.row("SELECT ended_at FROM playbacks WHERE \"end\" = 'lost'")
    assert now <= row["ended_at"] <= datetime.now(UTC)
    assert await ends(vps) == ["lost", None]


async def test_what_nobody_saw_is_forgotten_a_day_after_its_end(vps: Vps) -> None:
    student, now = await make_student(vps), datetime.now(UTC)
    for days, viewed_at in ((2, None), (2, NOW), (0.5, None)):
        began_at, ends_at = now - timedelta(days=days + 0.5), now - timedelta(days=days)
        await tell(vps.node, playback(student, uuid7(), began_at=began_at, ends_at=ends_at, viewed_at=viewed_at))
    async with vps.sessions() as session, session.begin():
        assert await forget_unseen(session) == 1
    rows = await vps.rows("SELECT viewed_at IS NOT NULL AS seen FROM playbacks ORDER BY began_at")
    assert [row["seen"] for row in rows] == [True, False]


async def test_a_third_playback_moves_the_oldest_whichever_nodes_they_are_on(vps: Vps) -> None:
    student, other = await make_student(vps), await another_node(vps)
    following = await follower(other)
    first, second, third, fourth = (
        playback(student, uuid7(), began_at=NOW + timedelta(seconds=number)) for number in range(4)
    )
    for node, about in ((vps.node, first), (other, second), (vps.node, third)):
        assert await tell(node, about) == "applied"
    assert await ends(vps) == ["moving", None, None]
    assert await tell(vps.node, first) == "unwanted"
    assert await tell(vps.node, later(first, end="moved", ended_at=NOW)) == "applied"
    await tell(vps.node, third)  # again: it is none more
    await tell(other, later(second, end="expired", ended_at=NOW))
    await tell(other, fourth)
    assert await ends(vps) == ["moved", "expired", None, None]
    await following.catch_up()
    wanted = {"kind": "playback_moved", "user_id": str(student.id), "playback_id": str(first.playback_id)}
    (change,) = following.seen
    assert {name: change[name] for name in wanted} == wanted


async def test_what_has_just_begun_is_ordered_by_the_clock_of_the_vps(vps: Vps) -> None:
    """Those of two nodes differ by some tenths of a second."""
    student, other, now = await make_student(vps), await another_node(vps), datetime.now(UTC)
    for node, ahead_s in ((vps.node, 0.9), (other, 0.5), (vps.node, 0)):
        await tell(node, playback(student, uuid7(), began_at=now + timedelta(seconds=ahead_s)))
    assert await ends(vps) == ["moving", None, None]


async def test_what_is_told_late_is_the_oldest_all_the_same(vps: Vps) -> None:
    student = await make_student(vps)
    for minutes in (1, 2):
        await tell(vps.node, playback(student, uuid7(), began_at=NOW + timedelta(minutes=minutes)))
    assert await tell(vps.node, playback(student, uuid7(), began_at=NOW)) == "unwanted"
    assert await ends(vps) == ["moving", None, None]


async def test_playbacks_of_others_and_those_that_are_over_by_now_are_not_counted(vps: Vps) -> None:
    student, stranger = await make_student(vps), await make_student(vps, "huda")
    await tell(vps.node, playback(student, uuid7(), ends_at=NOW))
    for person in (stranger, stranger, student, student):
        await tell(vps.node, playback(person, uuid7()))
    assert await ends(vps) == [None] * 5


async def test_of_many_that_begin_at_once_two_are_left(vps: Vps) -> None:
    student = await make_student(vps)
    events = [Event(id=uuid7(), about=playback(student, uuid7())) for _ in range(8)]
    for answer in await asyncio.gather(*(vps.node.post(EVENTS, event) for event in events)):
        assert done(answer)["verdict"] in ("applied", "unwanted")
    assert sorted(map(str, await ends(vps))) == ["None"] * 2 + ["moving"] * 6
    assert len(await announced(vps, "playback_moved")) == 6


@pytest.mark.parametrize(
    "nonsense", [{"watched": [(0, -1)]}, {"watched": [(0, 1)] * 201}, {"end": "bored"}, {"viewed_at": "soon"}]
)
async def test_nonsense_is_refused_and_changes_nothing(vps: Vps, nonsense: dict[str, Any]) -> None:
    about = playback(await make_student(vps), uuid7()).model_dump(mode="json") | nonsense
    body = json.dumps({"id": str(uuid7()), "about": about}).encode()
    refused(await vps.node.call("POST", EVENTS, body), 422, "validation_failed")
    assert await vps.rows("SELECT 1 FROM playbacks") == []
