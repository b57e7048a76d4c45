"""What the VPS has still to hear: in a video's order, until it is answered, whatever happens in between."""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx

from cloud_service.db import Database
from cloud_service.outbox import TRIES, Outbox
from cloud_service.processing.results import save
from cloud_service.videos.catalogue import Catalogue
from cloud_service.vps import Vps, VpsUnreachable
from shared.contract import EVENTS, VideoStored
from tests.cloud.made_up import MadeUpVps, bodies
from tests.cloud.running import eventually
from tests.cloud.things import video

pytestmark = pytest.mark.anyio

APPLIED, UNWANTED, UNKNOWN = ({"verdict": verdict} for verdict in ("applied", "unwanted", "unknown"))
REFUSED = {"verdict": "refused", "reason": "Another was first."}
FAILED, AWAY = httpx.Response(500), httpx.Response(503)


class Dropped(list[str]):
    """The videos that the outbox was told to drop."""

    async def __call__(self, video_id: str) -> None:
        self.append(video_id)


@pytest.fixture
def dropped() -> Dropped:
    return Dropped()


class Refusals(list[tuple[str, str]]):
    """The videos of which nothing is to become, and why."""

    async def __call__(self, video_id: str, reason: str) -> None:
        self.append((video_id, reason))


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
def outbox(database: Database, vps: Vps, dropped: Dropped, refusals: Refusals) -> Outbox:
    return Outbox(database, vps, dropped, refusals)


def told(events: respx.Route) -> list[str]:
    """The videos that the VPS was told of, in order."""
    return [event["about"]["video_id"] for event in bodies(events)]


def about(video_id: UUID, size: int = 1) -> VideoStored:
    return VideoStored.model_validate(
        {
            "video_id": video_id,
            "lesson_id": uuid4(),
            "course_id": uuid4(),
            "owner_id": uuid4(),
            "size": size,
            "sha256": "ab" * 32,
            "media_type": "video/mp4",
            "duration_s": 1,
            "stored_at": 0,
        }
    )


async def store(database: Database, outbox: Outbox, video_id: UUID | None = None, size: int = 1) -> str:
    """A video is stored, and its announcement with it."""
    stored = about(video_id or uuid4(), size)
    async with database.transaction() as transaction:
        await outbox.add(transaction, stored)
    return str(stored.video_id)


async def depth(outbox: Outbox) -> int:
    return (await outbox.backlog()).depth


async def kept(database: Database) -> list[tuple[str, str | None]]:
    rows = await database.fetch("SELECT video_id, set_aside FROM outbox ORDER BY number")
    return [(row["video_id"], row["set_aside"]) for row in rows]


async def until_empty(outbox: Outbox) -> None:
    async with asyncio.timeout(5):
        while await depth(outbox):  # noqa: ASYNC110 - as seen from outside
            await asyncio.sleep(0.01)


async def test_events_are_told_in_their_order_and_forgotten(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    events = made_up.answers("POST", EVENTS, APPLIED)
    videos = [await store(database, outbox) for _ in range(5)]
    assert await depth(outbox) == 5
    assert await outbox.deliver() == 0
    assert told(events) == videos
    assert await kept(database) == []


@pytest.mark.parametrize("trouble", [httpx.ConnectError("down"), httpx.ReadTimeout("slow"), AWAY], ids=repr)
async def test_while_the_vps_is_away_everything_waits_with_its_id(
    database: Database, outbox: Outbox, made_up: MadeUpVps, trouble: Any
) -> None:
    events = made_up.answers("POST", EVENTS, trouble, APPLIED)
    for _ in range(2):
        await store(database, outbox)
    with pytest.raises(VpsUnreachable):
        await outbox.deliver()
    assert (await depth(outbox), events.call_count) == (2, 1)
    await outbox.deliver()
    first, again, second = bodies(events)
    assert first == again
    assert first["id"] != second["id"]


async def test_a_vps_that_is_away_for_long_sets_nothing_aside(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", EVENTS, *[AWAY] * (2 * TRIES), APPLIED)
    await store(database, outbox)
    for _ in range(2 * TRIES):
        with pytest.raises(VpsUnreachable):
            await outbox.deliver()
    assert await outbox.deliver() == 0
    assert await kept(database) == []


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_trouble_with_keys_clocks_or_routes_loses_no_announcement(
    database: Database, outbox: Outbox, made_up: MadeUpVps, status: int
) -> None:
    """It is about the call, not about the event: once it is mended, the event is told."""
    video_id = await store(database, outbox)
    events = made_up.answers("POST", EVENTS, *[httpx.Response(status)] * 10, APPLIED)
    for _ in range(10):
        with pytest.raises(VpsUnreachable):
            await outbox.deliver()
    await outbox.deliver()
    assert set(told(events)) == {video_id}
    assert await kept(database) == []


async def test_an_answer_that_nobody_signed_is_no_answer(
    database: Database, outbox: Outbox, made_up: MadeUpVps, dropped: Dropped
) -> None:
    """Somebody in between cannot have an announcement forgotten, or a video dropped."""
    made_up.does("POST", EVENTS, lambda _: httpx.Response(200, json=UNWANTED))
    video_id = await store(database, outbox)
    with pytest.raises(VpsUnreachable):
        await outbox.deliver()
    assert (await kept(database), dropped) == ([(video_id, None)], [])


@pytest.mark.parametrize("status", [400, 422])
async def test_an_event_that_cannot_be_understood_is_set_aside_at_once_and_holds_up_nobody(
    database: Database, outbox: Outbox, made_up: MadeUpVps, dropped: Dropped, status: int
) -> None:
    bad, good = await store(database, outbox), await store(database, outbox)
    events = made_up.answers("POST", EVENTS, httpx.Response(status, text="no"), APPLIED)
    assert await outbox.deliver() == 0
    assert told(events) == [bad, good]
    assert await kept(database) == [(bad, f"{status} no")]
    assert dropped == []


async def test_an_event_that_the_vps_fails_on_is_set_aside_in_the_end_and_holds_up_nobody(
    database: Database, outbox: Outbox, made_up: MadeUpVps, dropped: Dropped
) -> None:
    poison = await store(database, outbox)
    others = [await store(database, outbox) for _ in range(2)]

    def fail_on_poison(request: httpx.Request) -> httpx.Response:
        is_poison = poison.encode() in request.content
        return made_up.signed(request, httpx.Response(500) if is_poison else httpx.Response(200, json=APPLIED))

    events = made_up.does("POST", EVENTS, fail_on_poison)
    assert await outbox.deliver() == 1
    assert told(events) == [poison, *others]
    for _ in range(TRIES - 1):
        assert await outbox.deliver() == 1
    assert await kept(database) == [(poison, f"answered 500 {TRIES} times")]
    assert await outbox.deliver() == 0
    assert (events.call_count, dropped) == (TRIES + 2, [])
    backlog = await outbox.backlog()
    assert (backlog.depth, backlog.set_aside) == (0, 1)


async def test_failures_are_counted_over_restarts(
    database: Database, outbox: Outbox, vps: Vps, dropped: Dropped, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", EVENTS, FAILED)
    await store(database, outbox)
    for _ in range(TRIES):
        await Outbox(database, vps, dropped, Refusals()).deliver()
    assert (await outbox.backlog()).set_aside == 1


async def test_the_events_of_one_video_keep_their_order_while_others_pass(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    """The second event of a video is not told before the first one was."""
    video_id = uuid4()
    for size in (1, 2):
        await store(database, outbox, video_id, size)
    other = await store(database, outbox)
    events = made_up.answers("POST", EVENTS, FAILED, APPLIED)
    assert await outbox.deliver() == 1
    assert told(events) == [str(video_id), other]
    assert await outbox.deliver() == 0
    assert [(event["about"]["video_id"], event["about"]["size"]) for event in bodies(events)[2:]] == [
        (str(video_id), 1),
        (str(video_id), 2),
    ]


async def test_a_video_that_is_not_wanted_is_dropped(
    database: Database, outbox: Outbox, made_up: MadeUpVps, dropped: Dropped
) -> None:
    video_id = await store(database, outbox)
    made_up.answers("POST", EVENTS, UNWANTED)
    await outbox.deliver()
    assert (dropped, await kept(database)) == ([video_id], [])


async def test_a_video_of_a_course_that_the_vps_does_not_know_is_kept(
    database: Database, outbox: Outbox, made_up: MadeUpVps, dropped: Dropped
) -> None:
    """As after a restore from an old backup; a comparison of the two announces it again."""
    film = video()
    await store(database, outbox, UUID(film.id))
    events = made_up.answers("POST", EVENTS, UNKNOWN, APPLIED)
    await outbox.deliver()
    assert dropped == []
    assert (await outbox.backlog()).set_aside == 1
    async with database.transaction() as transaction:
        await Catalogue(database).add(transaction, film)
    await outbox.announce_again(film.id)
    assert (await outbox.backlog()).set_aside == 0
    await outbox.deliver()
    assert (told(events), await kept(database)) == ([film.id] * 2, [])


async def test_what_is_announced_again_is_the_video_as_it_is_by_then(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    """The worker may have ended, and said so, since somebody looked; of one that was deleted nothing is said."""
    film = video()
    async with database.transaction() as transaction:
        await Catalogue(database).add(transaction, film)
        await save(transaction, replace(film, status="ready"))
        await outbox.add(transaction, replace(film, status="ready").announcement())
    await outbox.announce_again(film.id)
    await outbox.announce_again(str(uuid4()))
    events = made_up.answers("POST", EVENTS, APPLIED)
    await outbox.deliver()
    assert [event["about"]["status"] for event in bodies(events)] == ["ready"]


async def test_of_a_video_that_is_refused_nothing_more_is_told(
    database: Database, outbox: Outbox, made_up: MadeUpVps, dropped: Dropped, refusals: Refusals
) -> None:
    video_id = uuid4()
    for size in (1, 2):
        await store(database, outbox, video_id, size)
    other = await store(database, outbox)
    events = made_up.answers("POST", EVENTS, REFUSED, APPLIED)
    await outbox.deliver()
    assert (told(events), await kept(database)) == ([str(video_id), other], [])
    assert (refusals, dropped) == ([(str(video_id), "Another was first.")], [])


async def test_what_is_told_of_a_few_waits_for_one_event_of_a_backlog_and_not_for_all(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    before = [await store(database, outbox) for _ in range(50)]
    mine = await store(database, outbox)
    at_it, slow = asyncio.Event(), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        at_it.set()
        await slow.wait()
        return made_up.signed(request, httpx.Response(200, json=APPLIED))

    events = made_up.does("POST", EVENTS, answer)
    all_of_it = asyncio.ensure_future(outbox.deliver())
    await at_it.wait()
    one = asyncio.ensure_future(outbox.deliver({mine}))
    await eventually(lambda: outbox._sending._waiters)
    slow.set()
    await one
    assert mine in told(events)
    assert events.call_count < 10
    await all_of_it
    assert sorted(told(events)) == sorted([*before, mine])


async def test_the_age_of_the_backlog_is_that_of_its_oldest_event(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    assert (await outbox.backlog()).age_s == 0
    old = await store(database, outbox)
    await store(database, outbox)
    async with database.transaction() as transaction:
        await transaction.execute("UPDATE outbox SET added_at = added_at - 100 WHERE video_id = ?", (old,))
    assert 100 <= (await outbox.backlog()).age_s < 110


async def test_an_event_that_was_rolled_back_is_never_told(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    events = made_up.answers("POST", EVENTS, APPLIED)
    await store(database, outbox)
    with pytest.raises(ZeroDivisionError):
        await fail_after_adding(database, outbox)
    await outbox.deliver()
    assert events.call_count == 1


async def fail_after_adding(database: Database, outbox: Outbox) -> None:
    async with database.transaction() as transaction:
        await outbox.add(transaction, about(uuid4()))
        raise ZeroDivisionError


async def test_news_is_told_at_once(database: Database, outbox: Outbox, made_up: MadeUpVps) -> None:
    events = made_up.answers("POST", EVENTS, APPLIED)
    running = asyncio.ensure_future(outbox.run())
    try:
        await asyncio.sleep(0.05)
        await store(database, outbox)
        await until_empty(outbox)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert events.call_count == 1


@pytest.mark.parametrize("trouble", [AWAY, FAILED, httpx.ConnectError("down")], ids=repr)
async def test_a_running_outbox_tries_again_by_itself(
    database: Database, outbox: Outbox, made_up: MadeUpVps, trouble: Any
) -> None:
    await store(database, outbox)
    events = made_up.answers("POST", EVENTS, trouble, APPLIED)
    running = asyncio.ensure_future(outbox.run())
    try:
        await until_empty(outbox)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert events.call_count == 2


async def test_two_deliveries_at_once_tell_each_event_once(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    events = made_up.answers("POST", EVENTS, APPLIED)
    for _ in range(3):
        await store(database, outbox)
    await asyncio.gather(*(outbox.deliver() for _ in range(5)))
    assert events.call_count == 3
