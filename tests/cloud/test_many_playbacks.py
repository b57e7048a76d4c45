"""Of very many playbacks none is in the way of the others, nor is a user who begins them without end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from uuid import uuid4

import pytest

from cloud_service.clock import boot, uptime
from cloud_service.db import FILE, Database
from cloud_service.playback.models import Lives
from cloud_service.playback.pace import FEW, Pace
from cloud_service.playback.playbacks import AT_ONCE, Playbacks

pytestmark = pytest.mark.anyio

LIVES = Lives(open_within_s=600, idle_s=3600, in_all_s=43_200)
VIDEO = str(uuid4())


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / FILE)
    yield database
    await database.close()


async def again(database: Database) -> Playbacks:
    """As a node finds them that begins anew."""
    playbacks = Playbacks(database, LIVES, at_once=2)
    await playbacks.load()
    return playbacks


MANY = 2000


async def many(database: Database) -> Playbacks:
    """As many live ones, of as many users, all of them just used."""
    now, where = uptime(), boot()
    rows = [(str(uuid4()), VIDEO, str(uuid4()), where, now, now) for _ in range(MANY)]
    async with database.transaction() as transaction:
        await transaction.execute_many(
            "INSERT INTO playbacks"
            " (id, video_id, user_id, generation, has_original, boot, began_at, used_at, began_unix)"
            " VALUES (?, ?, ?, 0, 0, ?, ?, ?, 0)",
            rows,
        )
    playbacks = await again(database)
    assert len(playbacks) == MANY
    for playback_id, *_ in rows:
        playback = playbacks.get(playback_id)
        assert playback is not None
        playbacks.use(playback, uptime())
    return playbacks


async def turns_during(work: Awaitable[None]) -> int:
    """How often others have had their turn before it was done."""
    working, turns = asyncio.ensure_future(work), 0
    while not working.done():
        await asyncio.sleep(0)
        turns += 1
    await working
    return turns


@pytest.mark.parametrize("work", ["keep_uses", "forget_expired"])
@pytest.mark.parametrize("are_over", [False, True])
async def test_very_many_playbacks_are_gone_through_a_few_at_a_time(
    database: Database, work: str, are_over: bool
) -> None:
    """Between them others have their turn, also for writing."""
    playbacks = await many(database)
    if are_over:
        playbacks.lives = playbacks.lives._replace(idle_s=0)
    assert await turns_during(getattr(playbacks, work)()) >= MANY / AT_ONCE
    assert len(playbacks) == (0 if are_over and work == "forget_expired" else MANY)
    assert len(await again(database)) == len(playbacks)


# --- how fast ----------------------------------------------------------------------------------------------------


def test_a_user_has_a_minutes_playbacks_at_once_and_then_waits_for_each() -> None:
    pace, now = Pace(per_minute=6), 1e6
    assert [pace.wait_s("one", now) for _ in range(6)] == [0.0] * 6
    assert pace.wait_s("one", now) == 10
    assert pace.wait_s("another", now) == 0
    assert pace.wait_s("one", now + 7) == 3  # asking again costs nothing
    assert pace.wait_s("one", now + 10) == 0
    assert pace.wait_s("one", now + 10) == 10
    assert [pace.wait_s("one", now + 100) for _ in range(7)] == [0.0] * 6 + [10.0]


def test_who_has_rested_is_forgotten() -> None:
    pace = Pace(per_minute=60)
    for number in range(10 * FEW):
        assert pace.wait_s(str(number), float(number)) == 0
    assert len(pace) <= FEW + 1
