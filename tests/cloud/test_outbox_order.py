"""Which of the words that wait goes first, and what becomes of those about playbacks that nobody understood."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx

from cloud_service.db import Database
from cloud_service.outbox import AT_ONCE, DAY_S, FORGOTTEN_DAYS, Outbox, announce_playbacks
from cloud_service.vps import Vps
from shared.contract import EVENTS
from shared.playbacks import PlaybackTold
from tests.cloud.made_up import MadeUpVps, bodies
from tests.cloud.things import video

pytestmark = pytest.mark.anyio

APPLIED = {"verdict": "applied"}


async def nothing(*_: str) -> None: ...


@pytest.fixture
def outbox(database: Database, vps: Vps) -> Outbox:
    return Outbox(database, vps, nothing, nothing)


def told(events: respx.Route) -> list[UUID]:
    """The playbacks and videos that the VPS was told of, in order."""
    abouts = (event["about"] for event in bodies(events))
    return [UUID(about.get("playback_id") or about["video_id"]) for about in abouts]


def watching(*watched: tuple[float, float], **more: Any) -> PlaybackTold:
    now = datetime.now(UTC)
    ids = {"playback_id": uuid4(), "video_id": uuid4(), "user_id": uuid4()}
    return PlaybackTold.model_validate({**ids, "began_at": now, "ends_at": now, "watched": watched, **more})


async def watch(database: Database, *abouts: PlaybackTold) -> list[UUID]:
    """Something happens to playbacks, and a word about each waits to be told."""
    async with database.transaction() as transaction:
        await announce_playbacks(transaction, abouts)
    return [one.playback_id for one in abouts]


async def store(database: Database, outbox: Outbox) -> UUID:
    stored = video().announcement()
    async with database.transaction() as transaction:
        await outbox.add(transaction, stored)
    return stored.video_id


async def test_videos_and_what_begins_or_ends_go_before_what_only_goes_on(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    going_on = await watch(database, *(watching((0, 8)) for _ in range(3)))
    began, ended = await watch(database, watching(), watching((0, 8), end="expired", ended_at=datetime.now(UTC)))
    stored = await store(database, outbox)
    events = made_up.answers("POST", EVENTS, APPLIED)
    await outbox.deliver()
    assert told(events) == [stored, began, ended, *going_on]


async def test_an_upload_does_not_wait_for_a_backlog_that_is_being_sent(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    await watch(database, *(watching((0, 8)) for _ in range(3 * AT_ONCE)))
    stored = list[UUID]()

    async def answer(request: httpx.Request) -> httpx.Response:
        if not stored:
            stored.append(await store(database, outbox))
        return made_up.signed(request, httpx.Response(200, json=APPLIED))

    events = made_up.does("POST", EVENTS, answer)
    await outbox.deliver()
    assert (told(events).index(stored[0]), events.call_count) == (AT_ONCE, 3 * AT_ONCE + 1)


async def test_for_a_comparison_of_videos_no_playback_has_to_be_told(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    await watch(database, *(watching() for _ in range(3)))
    stored = await store(database, outbox)
    events = made_up.answers("POST", EVENTS, APPLIED)
    await outbox.deliver(of_videos=True)
    assert (told(events), (await outbox.backlog()).depth) == ([stored], 3)


async def test_what_was_set_aside_of_playbacks_is_told_again_for_some_days(
    database: Database, outbox: Outbox, made_up: MadeUpVps
) -> None:
    """A VPS that was an older release may have been renewed since."""
    events = made_up.answers("POST", EVENTS, *[httpx.Response(422)] * 3, APPLIED)
    film = await store(database, outbox)
    await outbox.deliver()
    young, old = await watch(database, watching(), watching())
    await outbox.deliver()
    async with database.transaction() as transaction:
        older = "UPDATE outbox SET added_at = added_at - ? WHERE playback_id = ?"
        await transaction.execute(older, (FORGOTTEN_DAYS * DAY_S + 1, str(old)))
    await outbox.retry_playbacks()
    await outbox.deliver()
    assert told(events) == [film, young, old, young]
    assert [row["video_id"] for row in await database.fetch("SELECT video_id FROM outbox")] == [str(film)]
