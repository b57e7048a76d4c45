"""Jobs end with what they belong to, however they take it."""

import asyncio

import pytest

from shared import jobs

pytestmark = pytest.mark.anyio


async def test_a_job_that_lost_a_cancellation_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "TOLD_AGAIN_S", 0.05)
    told = 0

    async def deaf() -> None:
        nonlocal told
        while told < 2:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                told += 1

    async with asyncio.timeout(10):
        async with jobs.running(deaf()):
            await asyncio.sleep(0)
    assert told == 2
