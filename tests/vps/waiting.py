"""Waiting for what the service does by itself."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

SOON_S = 30


async def comes_true(fact: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(SOON_S * 20):
        if await fact():
            return
        await asyncio.sleep(0.05)
    pytest.fail("it did not come true")
