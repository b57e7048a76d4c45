"""Whoever has much to be done holds up nobody else: turns between owners, and so many uploads each."""

import asyncio

import pytest

from cloud_service.at_once import AtOncePerUser
from cloud_service.uploads.fairness import FairTurns
from shared.problems import NotFound
from tests.cloud.running import eventually

pytestmark = pytest.mark.anyio


async def test_whoever_has_much_to_be_looked_into_holds_up_nobody_else() -> None:
    turns, order = FairTurns(2), list[str]()
    going_on = asyncio.Event()

    async def take(owner: str, *, waits: bool = False) -> None:
        async with turns.next(owner, 10):
            order.append(owner)
            if waits:
                await going_on.wait()

    greedy = [asyncio.ensure_future(take("greedy", waits=True)) for _ in range(100)]
    await eventually(lambda: order)
    await take("other")
    await take("another")
    assert order == ["greedy", "other", "another"]
    others = [asyncio.ensure_future(take(name)) for name in ("a", "a", "b", "c")]
    going_on.set()
    await asyncio.gather(*greedy, *others)
    assert order[3:9].count("greedy") < 4
    assert len(order) == 3 + 99 + 4


async def test_owners_with_much_to_do_take_turns_with_each_other() -> None:
    turns, order = FairTurns(1), list[str]()

    async def take(owner: str) -> None:
        async with turns.next(owner, 10):
            order.append(owner)
            await asyncio.sleep(0)

    await asyncio.gather(*(take(owner) for owner in ("a", "a", "a", "b", "b", "c")))
    assert order == ["a", "b", "c", "a", "b", "a"]


async def test_turns_are_not_lost_however_waiting_ends() -> None:
    turns = FairTurns(2)

    async def take(owner: str) -> None:
        async with turns.next(owner, 10):
            await asyncio.sleep(0)

    for round_ in range(20):
        tasks = [asyncio.ensure_future(take(owner)) for owner in "aabbccdd"]
        for _ in range(round_ % 5):
            await asyncio.sleep(0)
        for task in tasks[round_ % 2 :: 2]:
            task.cancel()
        await asyncio.wait(tasks)
    async with turns.next("a", 1), turns.next("b", 1):
        with pytest.raises(TimeoutError):
            async with turns.next("c", 0.01):
                pass


# --- how many at once -------------------------------------------------------------------------------------------


def test_each_user_has_so_many_at_once() -> None:
    uploads = AtOncePerUser(2, NotFound)
    with uploads.one_more("omar"), uploads.one_more("omar"):
        with pytest.raises(NotFound), uploads.one_more("omar"):
            pass
        with uploads.one_more("sara"):
            pass
    with uploads.one_more("omar"), uploads.one_more("omar"):
        pass
