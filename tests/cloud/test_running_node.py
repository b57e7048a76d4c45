"""A whole node whose VPS is made up: what it tells of itself, what it does when its database breaks under it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from cloud_service.node import Node
from cloud_service.processing.queue import enqueue
from cloud_service.settings import CloudSettings
from cloud_service.uploads.places import Place, admit
from shared import contract
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import (
    FILM,
    Answering,
    RunningNode,
    a_video,
    broken_files,
    eventually,
    opened,
    running_node,
    store,
)
from tests.cloud.things import COURSE, TEACHER, USER, change, may_upload, viewer
from tests.faults import damage

pytestmark = [pytest.mark.anyio, pytest.mark.settings(feed_wait_s=0.5, report_every_s=0.1, trust_starting_s=2)]

FIRST, SECOND = a_video(1), a_video(2)
DAMAGES: dict[str, Callable[[Path], None]] = {
    "bytes flipped": damage.flip_bytes,
    "truncated": damage.truncate,
    "header overwritten": damage.overwrite_header,
    "deleted": damage.unlink,
}


@pytest.fixture
def vps(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, vps: Answering) -> AsyncIterator[RunningNode]:
    """With two videos, and up to date."""
    async with opened(settings) as node:
        await store(node, FIRST, SECOND)
    async with running_node(settings) as running:
        await eventually(lambda: vps.told(contract.RECONCILED) and is_up_to_date(running))
        yield running


def is_up_to_date(running: RunningNode) -> bool:
    return is_confirmed(running) and running.node is not None and running.node.rights.position is not None


def is_confirmed(running: RunningNode) -> bool:
    return running.node is not None and running.node.catalogue.is_confirmed


async def is_done_with(node: Node, video_id: str) -> bool:
    """Nothing is left to be told of it, nor to be made."""
    left = "SELECT video_id FROM outbox UNION SELECT video_id FROM jobs"
    return video_id not in {row["video_id"] for row in await node.database.fetch(left)}


# --- what it hears ----------------------------------------------------------------------------------------


async def test_a_video_that_the_vps_refuses_is_its_owners_in_error_until_they_delete_it(
    running: RunningNode, vps: Answering
) -> None:
    """Another node was first in the lesson: this one is in nobody's way, also once the database is made anew."""
    node = running.node
    assert node
    video, reason = a_video(3), "Another video was first in this lesson."
    vps.refused[UUID(video.id)] = reason
    vps.paid.add(TEACHER)
    await store(node, video)
    async with node.database.transaction() as transaction:
        await enqueue(transaction, video)
        await node.outbox.add(transaction, video.announcement())
        await node.outbox.add(transaction, replace(video, status="ready").announcement())
    await eventually(lambda: (found := node.catalogue.get(video.id)) and found.status == "error")
    shown = (await running.get(f"/videos/{video.id}", TEACHER)).json()
    assert (shown["status"], shown["reason"], shown["replaces"]) == ("error", reason, None)
    await eventually(lambda: is_done_with(node, video.id))
    assert [held.came_late for held in node.store.read_rows() if held.id == video.id] == [True]
    vps.may_upload = may_upload()
    assert (await admit(node, viewer(TEACHER), Place("course", UUID(video.lesson_id)))).replaces == ""
    await store(node, replace(a_video(4), lesson_id=video.lesson_id))
    assert (await running.delete(f"/videos/{video.id}", TEACHER)).status_code == 204
    assert node.catalogue.find(video.id) is None


async def test_what_was_to_take_the_place_of_a_video_elsewhere_has_it_when_that_is_deleted(
    running: RunningNode, vps: Answering
) -> None:
    """From then on its viewers ask nobody."""
    node, elsewhere = running.node, uuid4()
    assert node
    coming = replace(a_video(3), replaces=str(elsewhere))
    await store(node, coming)
    vps.changes.append(change(1, "video_deleted", video=elsewhere, course=COURSE))
    await eventually(lambda: (found := node.catalogue.get(coming.id)) and not found.replaces)
    for _ in range(3):
        assert (await running.watch(coming)).content == FILM
    assert len(vps.told(contract.ACCESS)) == 1
    assert await node.database.fetch("SELECT 1 FROM videos WHERE replaces <> ''") == []


@pytest.mark.parametrize(("path", "is_file"), [("videos", False), ("files", True)])
async def test_as_what_something_is_to_be_deleted_the_vps_is_told(
    running: RunningNode, vps: Answering, path: str, is_file: bool
) -> None:
    """It may be on another node, of which this one knows nothing."""
    assert (await running.delete(f"/{path}/{uuid4()}", TEACHER)).status_code == 204
    assert [asked["is_file"] for asked in vps.told(contract.DELETIONS)] == [is_file]


# --- what it tells ----------------------------------------------------------------------------------------


async def figures(running: RunningNode) -> dict[str, float]:
    answer = await running.get("/metrics")
    lines = [line for line in answer.text.splitlines() if line.startswith("toptank_")]
    return {name: float(value) for name, value in (line.split() for line in lines)}


async def test_a_node_says_how_it_is(running: RunningNode) -> None:
    assert (await running.watch(FIRST)).content == FILM
    ready = (await running.get("/health/ready")).json()
    assert 0 <= ready.pop("trust_age_s") < 2
    expected = {"feed_lag": 0, "outbox_depth": 0, "outbox_age_s": 0.0, "outbox_set_aside": 0}
    assert ready == {"status": "ok", **expected}
    shown = await figures(running)
    assert 0 <= shown["toptank_trust_age_seconds"] < 2
    assert (shown["toptank_feed_lag"], shown["toptank_grants"], shown["toptank_videos"]) == (0, 1, 2)
    assert (shown["toptank_outbox_depth"], shown["toptank_outbox_age_seconds"]) == (0, 0)
    assert (shown["toptank_outbox_set_aside"], abs(shown["toptank_clock_skew_seconds"]) < 2) == (0, True)


async def test_a_node_whose_vps_is_away_is_ready_and_says_how_old_its_knowledge_is(
    running: RunningNode, vps: Answering
) -> None:
    vps.away = True

    async def is_old() -> bool:
        ready = await running.get("/health/ready")
        assert ready.status_code == 200
        return bool(ready.json()["trust_age_s"] > 1)

    await eventually(is_old)
    assert (await figures(running))["toptank_trust_age_seconds"] > 1


async def test_a_backlog_is_shown_by_its_depth_and_its_age(running: RunningNode, vps: Answering) -> None:
    vps.away = True
    assert running.node
    async with running.node.database.transaction() as transaction:
        await running.node.outbox.add(transaction, FIRST.announcement())
        await transaction.execute("UPDATE outbox SET added_at = added_at - 60")
    ready = (await running.get("/health/ready")).json()
    assert (ready["outbox_depth"], 60 <= ready["outbox_age_s"] < 90) == (1, True)
    shown = await figures(running)
    assert (shown["toptank_outbox_depth"], 60 <= shown["toptank_outbox_age_seconds"] < 90) == (1, True)


async def test_an_age_that_cannot_be_known_is_shown_as_well(running: RunningNode, vps: Answering) -> None:
    """After a reboot whose wall clock went back."""
    vps.away = True
    assert running.node
    await asyncio.sleep(0.6)  # the last pull has ended
    await running.node.freshness.renew(float("-inf"))
    assert (await running.get("/health/ready")).status_code == 200
    assert (await figures(running))["toptank_trust_age_seconds"] == float("inf")


async def test_a_node_whose_age_cannot_be_known_goes_on_reporting(running: RunningNode, vps: Answering) -> None:
    assert running.node
    vps.changes_fail = True
    await asyncio.sleep(0.6)
    await running.node.freshness.renew(float("-inf"))
    before = len(vps.told(contract.REPORTS))
    await eventually(lambda: len(vps.told(contract.REPORTS)) > before + 2, within_s=3)


async def test_a_wrong_clock_is_shown(running: RunningNode, made_up: MadeUpVps) -> None:
    made_up.ahead_s = -600

    async def is_shown() -> bool:
        return abs((await figures(running))["toptank_clock_skew_seconds"] - 600) < 2

    await eventually(is_shown)


async def test_a_node_reports_what_it_holds(running: RunningNode, vps: Answering, settings: CloudSettings) -> None:
    await running.watch(FIRST)
    report = (await eventually(lambda: [told for told in vps.told(contract.REPORTS) if told["grants"]]))[-1]
    assert (report["url"], report["videos"], report["bytes_stored"]) == (settings.cloud_url, 2, 2 * len(FILM))
    assert 0 < report["bytes_free"] <= report["capacity_bytes"]
    assert (report["feed_position"], report["outbox_depth"], report["outbox_set_aside"]) == (0, 0, 0)
    assert report["trust_age_s"] < 2
    assert abs(report["clock_skew_s"]) < 2


# --- comparing --------------------------------------------------------------------------------------------


async def test_an_operators_wish_is_fulfilled(running: RunningNode, vps: Answering) -> None:
    vps.order = 7
    await eventually(lambda: [found for found in vps.told(contract.RECONCILED) if found["order"] == 7])


async def test_an_operators_wish_is_fulfilled_once(running: RunningNode, vps: Answering) -> None:
    vps.order = 7
    await eventually(lambda: [found for found in vps.told(contract.RECONCILED) if found["order"] == 7])
    before, reported = len(vps.told(contract.RECONCILED)), len(vps.told(contract.REPORTS))
    await eventually(lambda: len(vps.told(contract.REPORTS)) >= reported + 5)
    assert len(vps.told(contract.RECONCILED)) == before


async def test_a_wish_with_a_smaller_number_is_fulfilled_too(running: RunningNode, vps: Answering) -> None:
    """The VPS was set back to a time before the last one."""
    for order in (5, 3):
        vps.order = order
        await eventually(lambda at=order: [found for found in vps.told(contract.RECONCILED) if found["order"] == at])


async def test_a_node_is_compared_once_at_every_start(settings: CloudSettings, vps: Answering) -> None:
    """Also when it knows where it is in the feed, and its database is whole."""
    async with running_node(settings) as running:
        await eventually(lambda: vps.told(contract.RECONCILED) and is_up_to_date(running))
    for _ in range(2):
        vps.asked.clear()
        async with running_node(settings) as running:
            await eventually(lambda: len(vps.told(contract.REPORTS)) > 5 and vps.told(contract.RECONCILED))
        assert len(vps.told(contract.RECONCILED)) == 1


async def test_what_the_vps_knows_to_be_gone_goes_when_the_two_are_compared(
    running: RunningNode, vps: Answering
) -> None:
    vps.gone = {UUID(SECOND.id)}
    vps.order = 1
    await eventually(lambda: running.node and running.node.catalogue.find(SECOND.id) is None)
    assert (await running.watch(FIRST)).content == FILM
    assert (await running.watch(SECOND)).status_code == 404


async def test_a_reset_of_the_feed_has_everything_compared(running: RunningNode, vps: Answering) -> None:
    before = len(vps.told(contract.RECONCILED))
    assert running.node
    vps.changes = [change(number, "user_signed_out", user=uuid4()) for number in range(2, 5)]  # the first is missing
    await eventually(lambda: len(vps.told(contract.RECONCILED)) > before)


# --- watching ---------------------------------------------------------------------------------------------


async def test_a_change_that_never_was_gets_nobody_in_and_costs_two_questions(
    running: RunningNode, vps: Answering
) -> None:
    answer = await running.get(f"/videos/{FIRST.id}/stream?after=999999999999", uuid4())
    assert (answer.status_code, answer.json()["code"]) == (403, "key_required")
    assert len(vps.told(contract.ACCESS)) <= 2


# --- the feed ---------------------------------------------------------------------------------------------


async def test_a_change_ends_a_right_and_a_deleted_course_its_videos(running: RunningNode, vps: Answering) -> None:
    assert (await running.watch(FIRST)).status_code == 200
    vps.paid = set()
    vps.changes = [change(1, "key_refunded", user=USER, course=COURSE)]

    async def is_refused() -> bool:
        return (await running.watch(FIRST)).status_code == 403

    await eventually(is_refused)
    vps.changes = [*vps.changes, change(2, "course_deleted", course=COURSE)]

    async def is_gone() -> bool:
        return (await running.watch(FIRST)).status_code == 404

    await eventually(is_gone)
    await eventually(lambda: running.node and len(running.node.catalogue) == 0)


# --- the database breaks ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DAMAGES)
async def test_a_database_that_breaks_under_a_node_is_replaced_without_a_restart(
    running: RunningNode, vps: Answering, settings: CloudSettings, kind: str
) -> None:
    """Nothing is served meanwhile that is not known; and whoever may watch, watches again."""
    before, seen = running.node, set()
    stranger = uuid4()
    assert (await running.watch(FIRST)).status_code == 200
    with broken_files(settings.folder) as broken:
        with closing(sqlite3.connect(running.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        DAMAGES[kind](running.database)
        async with asyncio.timeout(15):
            while running.node is before or not is_confirmed(running):
                for user in (USER, stranger):
                    answer = await running.watch(FIRST, user)
                    assert answer.status_code in ((200, 503) if user is USER else (403, 503)), answer.text
                    assert answer.status_code != 503 or int(answer.headers["retry-after"]) > 0
                    seen.add(answer.status_code)
                await asyncio.sleep(0.02)
    assert (await running.watch(FIRST)).content == FILM
    assert (await running.watch(FIRST, stranger)).status_code == 403
    assert (await running.get("/health/ready")).status_code == 200
    assert bool(broken) == (kind != "deleted")


async def test_a_database_that_is_lost_while_the_vps_is_away_serves_nobody_until_it_is_back(
    running: RunningNode, vps: Answering
) -> None:
    assert (await running.watch(FIRST)).status_code == 200
    before = running.node
    vps.away, vps.gone = True, {UUID(SECOND.id)}
    damage.unlink(running.database)
    await eventually(lambda: running.node not in (before, None))
    for path in (f"/videos/{FIRST.id}", f"/videos/{FIRST.id}/stream"):
        answer = await running.get(path)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
    vps.away = False
    await eventually(lambda: is_confirmed(running))
    assert (await running.watch(FIRST)).content == FILM
    assert (await running.watch(SECOND)).status_code == 404


async def test_deletions_wait_for_the_vps(running: RunningNode, vps: Answering) -> None:
    vps.away = True
    for path in (f"/videos/{FIRST.id}", f"/courses/{COURSE}"):
        answer = await running.delete(path, TEACHER)
        assert (answer.status_code, int(answer.headers["retry-after"]) > 0) == (503, True)
    vps.away = False
    assert (await running.watch(FIRST)).content == FILM


async def test_keys_that_cannot_be_written_down_let_viewers_in_all_the_same(
    running: RunningNode, vps: Answering
) -> None:
    """The disk is full, or somebody holds the file: that is no reason to answer as if something had gone wrong."""
    with closing(sqlite3.connect(running.database)) as connection, connection:
        full = "BEFORE INSERT ON remembered WHEN new.name = 'jwks' BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        connection.execute(f"CREATE TRIGGER full {full}")
    assert (await running.watch(FIRST)).status_code in (200, 503)


async def test_a_viewer_whose_question_is_answered_after_the_database_broke_is_told_to_come_back(
    running: RunningNode, vps: Answering
) -> None:
    """Or is let in: never an error of ours."""
    before = running.node
    await running.watch(FIRST, uuid4())  # the keys are known
    vps.answers_after_s = 1.8
    watching = asyncio.ensure_future(running.watch(FIRST))
    await eventually(lambda: len(vps.told(contract.ACCESS)) == 2)
    vps.answers_after_s = 0.0
    damage.unlink(running.database)
    await eventually(lambda: running.node is not before)
    assert (await watching).status_code in (200, 503)
