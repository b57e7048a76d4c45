"""Waiting for what the service does by itself."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from tests.vps.running import Vps

SOON_S = 30
WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def comes_true(fact: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(SOON_S * 20):
        if await fact():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not come true")


async def is_answered_or_waits(vps: Vps, act: asyncio.Task[httpx.Response]) -> None:
    """For a lock that another transaction has."""

    async def holds() -> bool:
        return act.done() or bool(await vps.rows(WAITING))

    await comes_true(holds)
