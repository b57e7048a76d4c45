"""What the VPS has still to hear: in order, until it is answered, whatever happens in between."""

import asyncio
import json
from typing import Any
from uuid import uuid4

import httpx
import pytest
import respx

from cloud_service.db import Database
from cloud_service.outbox import Outbox
from shared.contract import EVENTS, VideoStored
from shared.peer import Peer, PeerUnreachable

pytestmark = pytest.mark.anyio

APPLIED = {"applied": True, "reason": None}
UNWANTED = {"applied": False, "reason": "lesson_not_found"}


class Dropped(list[str]):
    """The videos that the outbox was told to drop."""

    async def __call__(self, video_id: str) -> None:
        self.append(video_id)


@pytest.fixture
def dropped() -> Dropped:
    return Dropped()


@pytest.fixture
def outbox(database: Database, peer: Peer, dropped: Dropped) -> Outbox:
    return Outbox(database, peer, dropped)


@pytest.fixture
def events(vps: respx.MockRouter) -> respx.Route:
    return vps.post(EVENTS)


def told(events: respx.Route) -> list[dict[str, Any]]:
    return [json.loads(call.request.content) for call in events.calls]


async def store(database: Database, outbox: Outbox, number: int = 1) -> str:
    """A video is stored, and its announcement with it."""
    about = VideoStored.model_validate(
        {
            "video_id": uuid4(),
            "lesson_id": uuid4(),
            "course_id": uuid4(),
            "owner_id": uuid4(),
            "size": number,
            "sha256": "ab" * 32,
            "media_type": "video/mp4",
            "duration_s": 1,
            "stored_at": 0,
        }
    )
    async with database.transaction() as transaction:
        await outbox.add(transaction, about)
    return str(about.video_id)


async def test_events_are_told_in_their_order_and_forgotten(
    database: Database, outbox: Outbox, events: respx.Route
) -> None:
    events.respond(json=APPLIED)
    videos = [await store(database, outbox, number) for number in range(5)]
    assert await outbox.depth() == 5
    await outbox.deliver()
    assert [event["about"]["video_id"] for event in told(events)] == videos
    assert await database.fetch("SELECT * FROM outbox") == []


@pytest.mark.parametrize(
    "trouble",
    [httpx.ConnectError("down"), httpx.ReadTimeout("slow"), httpx.Response(500), httpx.Response(503)],
)
async def test_while_the_vps_is_away_everything_waits_with_its_id(
    database: Database, outbox: Outbox, events: respx.Route, trouble: Any
) -> None:
    for number in range(2):
        await store(database, outbox, number)
    events.mock(side_effect=[trouble, *[httpx.Response(200, json=APPLIED)] * 2])
    with pytest.raises(PeerUnreachable):
        await outbox.deliver()
    assert await outbox.depth() == 2
    await outbox.deliver()
    first, again, second = told(events)
    assert first == again
    assert first["id"] != second["id"]


@pytest.mark.parametrize("status", [401, 403, 404, 429])
async def test_trouble_with_keys_clocks_or_routes_loses_no_announcement(
    database: Database, outbox: Outbox, events: respx.Route, status: int
) -> None:
    """It is about the call, not about the event: once it is mended, the event is told."""
    video_id = await store(database, outbox)
    events.mock(side_effect=[httpx.Response(status), httpx.Response(200, json=APPLIED)])
    with pytest.raises(PeerUnreachable):
        await outbox.deliver()
    await outbox.deliver()
    assert [event["about"]["video_id"] for event in told(events)] == [video_id] * 2
    assert await database.fetch("SELECT * FROM outbox") == []


async def test_an_event_that_cannot_be_understood_is_set_aside_and_holds_up_nobody(
    database: Database, outbox: Outbox, events: respx.Route, dropped: Dropped
) -> None:
    await store(database, outbox)
    good = await store(database, outbox)
    events.mock(side_effect=[httpx.Response(422, text="no"), httpx.Response(200, json=APPLIED)])
    await outbox.deliver()
    assert told(events)[-1]["about"]["video_id"] == good
    assert await outbox.depth() == 0
    ((reason,),) = [tuple(row) for row in await database.fetch("SELECT set_aside FROM outbox")]
    assert reason == "422 no"
    assert dropped == []


async def test_a_video_that_is_not_wanted_is_dropped(
    database: Database, outbox: Outbox, events: respx.Route, dropped: Dropped
) -> None:
    video_id = await store(database, outbox)
    events.respond(json=UNWANTED)
    await outbox.deliver()
    assert (dropped, await outbox.depth()) == ([video_id], 0)


async def test_an_event_that_was_rolled_back_is_never_told(
    database: Database, outbox: Outbox, events: respx.Route
) -> None:
    events.respond(json=APPLIED)
    await store(database, outbox)
    await database.fetch("SELECT 1")
    with pytest.raises(ZeroDivisionError):
        await fail_after_adding(database, outbox)
    await outbox.deliver()
    assert len(told(events)) == 1


async def fail_after_adding(database: Database, outbox: Outbox) -> None:
    about = VideoStored.model_validate_json(
        (await database.fetch("SELECT json_extract(event, '$.about') FROM outbox"))[0][0]
    )
    async with database.transaction() as transaction:
        await outbox.add(transaction, about)
        raise ZeroDivisionError


async def test_news_is_told_at_once(database: Database, outbox: Outbox, events: respx.Route) -> None:
    events.respond(json=APPLIED)
    running = asyncio.ensure_future(outbox.run())
    try:
        await asyncio.sleep(0.05)
        await store(database, outbox)
        async with asyncio.timeout(2):
            while await outbox.depth():  # noqa: ASYNC110 - as seen from outside
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert len(told(events)) == 1


async def test_a_running_outbox_tries_again_by_itself(database: Database, outbox: Outbox, events: respx.Route) -> None:
    await store(database, outbox)
    events.mock(side_effect=[httpx.Response(500), httpx.Response(200, json=APPLIED)])
    running = asyncio.ensure_future(outbox.run())
    try:
        async with asyncio.timeout(5):
            while await outbox.depth():  # noqa: ASYNC110 - as seen from outside
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])
    assert len(told(events)) == 2


async def test_two_deliveries_at_once_tell_each_event_once(
    database: Database, outbox: Outbox, events: respx.Route
) -> None:
    events.respond(json=APPLIED)
    for number in range(3):
        await store(database, outbox, number)
    await asyncio.gather(*(outbox.deliver() for _ in range(5)))
    assert len(told(events)) == 3
