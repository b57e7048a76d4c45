"""What the VPS is told of playbacks, what of it is kept, and where a viewer goes on the next time."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import chain
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from cloud_service.access.models import Viewer
from cloud_service.clock import uptime
from cloud_service.node import Node
from cloud_service.playback import playbacks as keeping
from cloud_service.playback import positions
from cloud_service.playback.models import Playback
from cloud_service.playback.playbacks import Playbacks
from cloud_service.playback.timelines import Timelines
from cloud_service.processing.commands import FRAGMENTED
from cloud_service.processing.fragments import read_fragmented
from cloud_service.settings import CloudSettings
from cloud_service.videos.models import Rendition, StoredVideo
from shared.contract import CHANGES, EVENTS
from tests.clips import H264, PICTURE, ffmpeg
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, a_video, eventually, opened, running_node, store
from tests.cloud.things import USER

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("made_up")]

VIEWER = Viewer(str(uuid4()), 0, 0)
VIDEO = replace(a_video(), duration_s=600.0, size=600_000)
"""Ten minutes, a byte a millisecond."""
ORIGINAL = "original"


@pytest.fixture
async def node(settings: CloudSettings) -> AsyncIterator[Node]:
    async with opened(settings) as node:
        await add(node, VIDEO)
        yield node


async def add(node: Node, video: StoredVideo) -> None:
    async with node.database.transaction() as transaction:
        await node.catalogue.add(transaction, video)


async def begun(node: Node, viewer: Viewer = VIEWER) -> Playback:
    return await node.playbacks.begin(viewer, VIDEO.id, has_original=True)


async def sent(node: Node, playback: Playback, start_s: float, stop_s: float, *, ago_s: float = 0) -> None:
    """As if so long ago; what goes on there was sent all the time since."""
    await node.playbacks.sends(playback, ORIGINAL, round(start_s * 1000), round(stop_s * 1000))
    playback.sent[-1].first_at -= ago_s


async def told(node: Node) -> list[dict[str, Any]]:
    """What waits to be sent, the oldest first."""
    rows = await node.database.fetch("SELECT event FROM outbox ORDER BY number")
    return [json.loads(row["event"])["about"] for row in rows]


async def again(node: Node) -> Playbacks:
    """As a node finds them that begins anew."""
    playbacks = Playbacks(node.database, node.playbacks.lives, 2, Timelines(node.catalogue, node.store))
    await playbacks.load()
    return playbacks


async def test_of_each_playback_the_newest_word_alone_waits_to_be_told(node: Node) -> None:
    playback = await begun(node)
    (before,) = await told(node)
    assert (before["kind"], before["playback_id"], before["user_id"]) == ("playback_told", playback.id, VIEWER.id)
    assert (before["viewed_at"], before["end"], before["watched"]) == (None, None, [])
    await sent(node, playback, 0, 8)
    await node.playbacks.keep_uses()
    (after,) = await told(node)
    assert after["viewed_at"] is not None
    playback.told_at -= 61
    await sent(node, playback, 8, 12)
    await node.playbacks.keep_uses()
    (last,) = await told(node)
    assert (last["watched"], last["viewed_at"], last["began_at"]) == ([[0, 12]], after["viewed_at"], before["began_at"])


async def test_news_that_can_wait_are_told_every_minute(node: Node) -> None:
    playback = await begun(node)
    await sent(node, playback, 0, 8)
    await node.playbacks.keep_uses()
    assert (await told(node))[0]["watched"] == []
    playback.told_at -= 61
    await node.playbacks.keep_uses()  # though nothing was used since
    assert (await told(node))[0]["watched"] == [[0, 8]]


async def test_what_a_vps_of_before_did_not_understand_is_told_once_more_with_what_comes_next(node: Node) -> None:
    playback = await begun(node)
    async with node.database.transaction() as transaction:
        await transaction.execute("UPDATE outbox SET set_aside = '422'")
    await sent(node, playback, 0, 8)
    (row,) = await node.database.fetch("SELECT set_aside, playback_id FROM outbox")
    assert tuple(row) == (None, playback.id)


async def test_what_was_sent_of_a_rendition_is_seconds_by_its_index(node: Node) -> None:
    made = Rendition("sd", width=160, height=90, frame_rate=10.0, size=1, bitrate=1000, codecs="avc1.42c00a")
    video = replace(a_video(2), duration_s=10.0, renditions=(made,))
    folder = node.store.folder(video)
    folder.mkdir(parents=True)
    ffmpeg(*PICTURE, *H264, "-g", "40", *FRAGMENTED[:2], "-t", "10", folder / "sd.mp4")
    await add(node, replace(video, renditions=(replace(made, size=(folder / "sd.mp4").stat().st_size),)))
    first, second, third = read_fragmented(folder / "sd.mp4").segments
    playback = await node.playbacks.begin(VIEWER, video.id, has_original=False)
    for start, stop in ((0, first.offset), (second.offset, third.offset), (first.offset, first.offset + first.size)):
        await node.playbacks.sends(playback, "sd.mp4", start, stop)
    await node.playbacks.keep_uses()
    assert [*chain(*playback.watched)] == pytest.approx([0, 8], abs=0.01)
    await node.playbacks.sends(playback, "hd.mp4", 0, 1000)  # which is not there any more
    await node.playbacks.keep_uses()
    assert [*chain(*playback.watched)] == pytest.approx([0, 8], abs=0.01)


@pytest.mark.settings(playback_told_every_s=0.2)
async def test_a_vps_that_was_set_back_hears_again_of_what_goes_on(settings: CloudSettings, made_up: MadeUpVps) -> None:
    vps = Answering(made_up)
    async with running_node(settings) as running:
        assert running.node
        await store(running.node, a_video())
        playback = await begun(running.node)

        def times_told() -> int:
            return sum(event["about"].get("playback_id") == playback.id for event in vps.told(EVENTS))

        await eventually(lambda: times_told() == 1 and vps.told(CHANGES))
        vps.epoch = uuid4()
        await eventually(lambda: times_told() == 2)


async def test_it_is_a_view_from_its_first_bytes_whatever_is_sent_of_it_at_once(node: Node) -> None:
    playback = await begun(node)
    await asyncio.gather(*(sent(node, playback, number, number + 1) for number in range(10)))
    (row,) = await node.database.fetch("SELECT viewed_at FROM playbacks")
    assert row["viewed_at"] == playback.viewed_at
    assert [about["viewed_at"] is not None for about in await told(node)] == [True]


async def test_who_has_to_make_room_is_told_before_who_takes_it(node: Node) -> None:
    first, second, third = [await begun(node) for _ in range(3)]
    waiting = [(about["playback_id"], about["end"]) for about in await told(node)]
    assert waiting == [(second.id, None), (first.id, "moved"), (third.id, None)]


async def test_what_was_sent_in_the_end_is_told_of_one_that_moved_too(node: Node) -> None:
    first = await begun(node)
    await sent(node, first, 0, 8)
    for _ in range(2):
        await begun(node)
    first.told_at -= 61
    await node.playbacks.keep_uses()
    (about,) = [about for about in await told(node) if about["playback_id"] == first.id]
    assert (about["end"], about["watched"]) == ("moved", [[0, 8]])


async def test_the_vps_moves_one_and_a_file_that_failed_is_written_the_next_time(node: Node) -> None:
    playback = await begun(node)
    async with node.database.transaction() as transaction:
        await transaction.execute("ALTER TABLE playbacks RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError):
        await node.playbacks.move(playback.id)
    assert playback.state(uptime(), node.playbacks.lives) == "moved"
    async with node.database.transaction() as transaction:
        await transaction.execute("ALTER TABLE elsewhere RENAME TO playbacks")
    await node.playbacks.move(playback.id)
    assert (await told(node))[0]["end"] == "moved"
    found = (await again(node)).get(playback.id)
    assert found is not None
    assert found.has_moved
    await node.playbacks.move(str(uuid4()))  # one that is unknown here


async def test_its_end_is_told_with_all_that_was_watched(node: Node) -> None:
    playback = await begun(node)
    await sent(node, playback, 0, 8)
    assert playback.used_at is not None
    playback.began_at, playback.used_at = playback.began_at - 4000, playback.used_at - 4000
    await node.playbacks.forget_expired()
    (about,) = await told(node)
    assert (about["end"], about["watched"], node.playbacks.get(playback.id)) == ("expired", [[0, 8]], None)
    assert await node.database.fetch("SELECT * FROM playbacks") == []


async def test_an_end_that_could_not_be_written_is_told_the_next_time(node: Node) -> None:
    playback = await begun(node)
    playback.began_at -= 4000
    async with node.database.transaction() as transaction:
        await transaction.execute("ALTER TABLE outbox RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError):
        await node.playbacks.forget_expired()
    async with node.database.transaction() as transaction:
        await transaction.execute("ALTER TABLE elsewhere RENAME TO outbox")
    await node.playbacks.forget_expired()
    assert [(about["playback_id"], about["end"]) for about in await told(node)] == [(playback.id, "expired")]


async def test_a_video_that_is_deleted_ends_its_playbacks_and_forgets_where_viewers_were(node: Node) -> None:
    playback = await begun(node)
    await sent(node, playback, 100, 130, ago_s=20)
    await node.playbacks.keep_uses()
    await node.catalogue.remove(VIDEO)
    await sent(node, playback, 130, 140)
    for keep in (node.playbacks.keep_uses, node.playbacks.forget_expired):
        await keep()
    (about,) = await told(node)
    assert (about["end"], about["watched"], node.playbacks.get(playback.id)) == ("video_gone", [[100, 130]], None)
    assert await node.database.fetch("SELECT * FROM positions") == []


async def test_what_was_watched_and_where_survives_a_restart_of_the_node(node: Node) -> None:
    playback = await begun(node)
    await sent(node, playback, 100, 130, ago_s=20)
    await node.playbacks.keep_uses()
    found = (await again(node)).get(playback.id)
    assert found is not None
    assert (found.watched, found.run, found.viewed_at, found.began_unix) == (
        *(playback.watched, playback.run),
        *(playback.viewed_at, playback.began_unix),
    )


async def test_another_start_of_the_machine_ends_them_and_the_vps_is_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = [await begun(node) for _ in range(3)]
    await sent(node, second, 0, 8)
    await node.playbacks.keep_uses()
    monkeypatch.setattr(keeping, "boot", lambda: "another")
    assert len(await again(node)) == 0
    abouts = {about["playback_id"]: (about["end"], about["watched"]) for about in await told(node)}
    assert abouts == {first.id: ("moved", []), second.id: ("expired", [[0, 8]]), third.id: ("expired", [])}


@pytest.mark.settings(edge_sends=True)
async def test_what_is_left_to_an_edge_counts_as_what_the_node_sends_itself(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    Answering(made_up)
    async with running_node(settings) as running:
        assert running.node
        await store(running.node, a_video())
        began = (await running.send("POST", f"/videos/{a_video().id}/playback", USER)).json()
        playback = running.node.playbacks.get(began["id"])
        assert playback is not None
        link = urlsplit(began["mp4"][0]["url"]).path
        for method, headers in (("HEAD", {}), ("GET", {"If-None-Match": "*"}), ("GET", {"Range": "bytes=5-"})):
            await running.send(method, link, USER, headers=headers)
        assert (playback.viewed_at, playback.sent) == (None, [])
        answer = await running.get(link, headers={"Range": "bytes=1-2"})
        assert "x-accel-redirect" in answer.headers
        assert playback.viewed_at is not None
        assert [(one.name, one.start, one.stop) for one in playback.sent] == [(ORIGINAL, 1, 3)]


# --- where to go on -----------------------------------------------------------------------------------


async def test_the_next_time_goes_on_where_the_last_one_was_not_where_its_player_had_read_to(node: Node) -> None:
    assert await node.playbacks.resume_at_s(VIEWER, VIDEO) is None
    playback = await begun(node)
    await sent(node, playback, 0, 30)
    await sent(node, playback, 100, 160, ago_s=40)
    assert await node.playbacks.resume_at_s(VIEWER, VIDEO) == pytest.approx(140, abs=1)
    await node.playbacks.keep_uses()
    later = await begun(node)
    assert await node.playbacks.resume_at_s(VIEWER, VIDEO) == pytest.approx(140, abs=1)
    await sent(node, later, 0, 30)  # a player was opened, and no more
    assert await node.playbacks.resume_at_s(VIEWER, VIDEO) == pytest.approx(140, abs=1)
    assert await node.playbacks.resume_at_s(Viewer(str(uuid4()), 0, 0), VIDEO) is None


async def test_it_is_known_for_longer_than_the_playback_lasts(node: Node) -> None:
    playback = await begun(node)
    await sent(node, playback, 100, 160, ago_s=40)
    playback.began_at -= 50_000
    await node.playbacks.forget_expired()
    assert len(node.playbacks) == 0
    assert await node.playbacks.resume_at_s(VIEWER, VIDEO) == pytest.approx(140, abs=1)


@pytest.mark.parametrize(("start_s", "stop_s", "ago_s"), [(0, 30, 3), (560, 600, 35)])
async def test_nobody_is_taken_to_the_very_beginning_or_the_end(
    node: Node, start_s: float, stop_s: float, ago_s: float
) -> None:
    await sent(node, await begun(node), start_s, stop_s, ago_s=ago_s)
    for _ in range(2):
        assert await node.playbacks.resume_at_s(VIEWER, VIDEO) is None
        await node.playbacks.keep_uses()
    assert await (await again(node)).resume_at_s(VIEWER, VIDEO) is None


async def test_of_a_user_the_newest_positions_are_kept(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(positions, "KEEP_NEWEST", positions.KEEP_NEWEST.replace("LIMIT 200", "LIMIT 2"))
    for number in range(2, 6):
        video = replace(VIDEO, id=a_video(number).id, lesson_id=str(number))
        await add(node, video)
        async with node.database.transaction() as transaction:
            for user in ("sara", "huda"):
                await positions.put_positions(transaction, [(user, video.id, 50.0)])
    rows = await node.database.fetch("SELECT user_id, video_id FROM positions ORDER BY user_id, video_id")
    kept = [a_video(number).id for number in (4, 5)]
    assert [tuple(row) for row in rows] == [(user, video) for user in ("huda", "sara") for video in kept]


# --- a database that is lost ----------------------------------------------------------------------------


async def test_a_database_lost_at_work_ends_its_playbacks_and_nothing_of_them_is_lost(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    Answering(made_up).away = True
    async with running_node(settings) as running:
        before = running.node
        assert before
        await store(before, replace(a_video(), duration_s=600.0))
        playback = await begun(before)
        await before.playbacks.sends(playback, ORIGINAL, 0, 3)
        for path in settings.folder.glob("node.sqlite3*"):
            path.unlink()

        async def told_by_now() -> list[dict[str, Any]] | None:
            waiting = await told(running.node) if running.node not in (before, None) else []
            return waiting if len(waiting) > 1 else None

        lost, over = await eventually(told_by_now, within_s=20)
        assert lost["kind"] == "playbacks_lost"
        assert (over["playback_id"], over["end"], over["watched"]) == (playback.id, "lost", [[0, 360]])
        assert over["viewed_at"] is not None
        assert running.node
        assert running.node.playbacks.get(playback.id) is None
