"""How old the node's knowledge is, on a clock that nobody can set: over restarts, reboots and wall clocks that jump.

The wall clock and the machine's start are outside the node: a test changes what the node reads of them, or wrote.
"""

import json
import time
from typing import Any

import pytest

from cloud_service.clock import boot, uptime
from cloud_service.db import Database
from cloud_service.freshness import PULLED_AT, Freshness

pytestmark = pytest.mark.anyio


async def restarted(database: Database, **written: Any) -> Freshness:
    """The freshness of the next process; `written` is what the last one wrote otherwise."""
    (row,) = await database.fetch("SELECT value FROM remembered WHERE name = ?", (PULLED_AT,))
    value = json.dumps(json.loads(row["value"]) | written)
    async with database.transaction() as transaction:
        await transaction.execute("UPDATE remembered SET value = ? WHERE name = ?", (value, PULLED_AT))
    freshness = Freshness(database)
    await freshness.load()
    return freshness


async def of_age(database: Database, age_s: float) -> Freshness:
    freshness = Freshness(database)
    await freshness.renew(uptime() - age_s)
    return freshness


def is_about(age_s: float, freshness: Freshness) -> bool:
    return age_s <= freshness.age_s() < age_s + 5


async def test_a_node_that_never_knew_is_as_old_as_its_process(database: Database) -> None:
    freshness = Freshness(database)
    await freshness.load()
    assert (freshness.was_pulled, is_about(0, freshness)) == (False, True)


async def test_what_is_known_is_as_old_as_the_question_that_told_it(database: Database) -> None:
    freshness = await of_age(database, 30)
    assert (freshness.was_pulled, is_about(30, freshness)) == (True, True)


async def test_a_restart_makes_what_is_known_no_fresher(database: Database) -> None:
    await of_age(database, 3600)
    again = await restarted(database)
    assert (again.was_pulled, is_about(3600, again)) == (True, True)


@pytest.mark.parametrize("jump_s", [-7200, 7200])
async def test_a_wall_clock_that_jumps_between_two_runs_changes_no_age(database: Database, jump_s: int) -> None:
    """What was written as the time of day counts for nothing as long as the machine was not started anew."""
    await of_age(database, 600)
    again = await restarted(database, unix=time.time() - 600 + jump_s)
    assert is_about(600, again)


@pytest.mark.parametrize("jump_s", [-7200, 7200])
async def test_a_wall_clock_that_jumps_under_a_running_node_changes_no_age(
    database: Database, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    freshness = await of_age(database, 60)
    jumped = time.time() + jump_s
    with monkeypatch.context() as machine:
        machine.setattr(time, "time", lambda: jumped)
        assert is_about(60, freshness)
        await freshness.renew(uptime() - 1)
        again = Freshness(database)
        await again.load()
        assert is_about(1, again)


async def test_after_a_reboot_the_wall_clock_tells_the_age(database: Database) -> None:
    await of_age(database, 10)
    again = await restarted(database, boot="of yesterday", uptime=5.0, unix=time.time() - 900)
    assert is_about(900, again)


async def test_after_a_reboot_a_count_of_seconds_from_before_says_nothing(database: Database) -> None:
    await of_age(database, 10)
    again = await restarted(database, boot="of yesterday", uptime=uptime() + 10_000, unix=time.time() - 50)
    assert is_about(50, again)


async def test_a_wall_clock_that_went_back_over_a_reboot_makes_what_is_known_infinitely_old(
    database: Database,
) -> None:
    await of_age(database, 10)
    again = await restarted(database, boot="of yesterday", unix=time.time() + 100)
    assert (again.was_pulled, again.age_s()) == (True, float("inf"))
    await again.renew(uptime())
    assert is_about(0, again)


async def test_what_is_written_down_says_which_start_of_the_machine_it_counts_from(database: Database) -> None:
    await of_age(database, 10)
    (row,) = await database.fetch("SELECT value FROM remembered WHERE name = ?", (PULLED_AT,))
    written = json.loads(row["value"])
    assert written["boot"] == boot()
    assert abs(uptime() - 10 - written["uptime"]) < 5
    assert abs(time.time() - 10 - written["unix"]) < 5
