"""Many who ask the same at once are answered by one call."""

import asyncio

import pytest

from cloud_service.access.single_flight import SingleFlight

pytestmark = pytest.mark.anyio


class Asked:
    """Answers when it is told to, and counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> str:
        self.times += 1
        return await self.answer


@pytest.fixture
async def asked(anyio_backend: str) -> Asked:
    return Asked()


async def test_a_hundred_callers_are_one_call(asked: Asked) -> None:
    flight: SingleFlight[str] = SingleFlight()
    callers = [asyncio.ensure_future(flight.run("x", asked)) for _ in range(100)]
    await asyncio.sleep(0)
    asked.answer.set_result("yes")
    assert await asyncio.gather(*callers) == ["yes"] * 100
    assert asked.times == 1


async def test_who_asks_something_else_is_a_call_of_its_own(asked: Asked) -> None:
    flight: SingleFlight[str] = SingleFlight()
    callers = [asyncio.ensure_future(flight.run(number, asked)) for number in range(3)]
    await asyncio.sleep(0)
    asked.answer.set_result("yes")
    await asyncio.gather(*callers)
    assert asked.times == 3


async def test_a_caller_that_gives_up_stops_nobody(asked: Asked) -> None:
    """Not even when it was the one whose call it is."""
    flight: SingleFlight[str] = SingleFlight()
    first, second = (asyncio.ensure_future(flight.run("x", asked)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    asked.answer.set_result("yes")
    assert await second == "yes"
    assert first.cancelled()
    assert asked.times == 1


async def test_when_all_give_up_the_next_one_still_joins_the_call(asked: Asked) -> None:
    flight: SingleFlight[str] = SingleFlight()
    first = asyncio.ensure_future(flight.run("x", asked))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    late = asyncio.ensure_future(flight.run("x", asked))
    await asyncio.sleep(0)
    asked.answer.set_result("yes")
    assert (await late, asked.times) == ("yes", 1)


async def test_an_error_reaches_everybody_and_the_next_call_is_new(asked: Asked) -> None:
    flight: SingleFlight[str] = SingleFlight()
    callers = [asyncio.ensure_future(flight.run("x", asked)) for _ in range(10)]
    await asyncio.sleep(0)
    asked.answer.set_exception(ConnectionError("down"))
    answers = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [ConnectionError] * 10
    asked.answer = asyncio.get_running_loop().create_future()
    asked.answer.set_result("up again")
    assert (await flight.run("x", asked), asked.times) == ("up again", 2)


async def test_after_an_answer_the_next_call_is_new(asked: Asked) -> None:
    flight: SingleFlight[str] = SingleFlight()
    asked.answer.set_result("yes")
    assert [await flight.run("x", asked) for _ in range(2)] == ["yes", "yes"]
    assert asked.times == 2
