"""How long a call to the VPS may take, and what nonsense may come back, over a real connection."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from cloud_service.clock import VpsClock, uptime
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps, VpsUnreachable
from shared.contract import ACCESS_KEYS, Jwks
from tests.cloud.made_up import MadeUpVps, call_of

pytestmark = pytest.mark.anyio

Speaks = Callable[[asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def calling(settings: CloudSettings, speaks: Speaks) -> AsyncIterator[Vps]:
    """A node whose VPS is a socket that says to every call what `speaks` writes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await speaks(writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    vps = Vps(settings.model_copy(update={"vps_internal_url": f"http://127.0.0.1:{port}"}), VpsClock())
    try:
        yield vps
    finally:
        await vps.close()
        server.close()


async def drips(writer: asyncio.StreamWriter) -> None:
    """A sign of life again and again: no pause is as long as a time limit between two of them."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.1)


async def drips_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: and more\r\n")
        await writer.drain()
        await asyncio.sleep(0.1)


async def is_silent(_: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


@pytest.mark.parametrize("speaks", [drips, drips_headers, is_silent])
async def test_a_call_ends_in_time_however_its_answer_comes(settings: CloudSettings, speaks: Speaks) -> None:
    async with calling(settings, speaks) as vps:
        began = uptime()
        with pytest.raises(VpsUnreachable) as failed:
            async with asyncio.timeout(20):
                await vps.get(ACCESS_KEYS, Jwks)
        assert uptime() - began >= settings.vps_timeout_s - 0.1
        assert failed.value.headers["Retry-After"]


async def says_it_is_compressed(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 8\r\n\r\nnot gzip")


async def is_cut_short(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}")


async def is_no_http(writer: asyncio.StreamWriter) -> None:
    writer.write(b"SSH-2.0-OpenSSH_9.2\r\n")


async def hangs_up(_: asyncio.StreamWriter) -> None:
    pass


@pytest.mark.parametrize("speaks", [says_it_is_compressed, is_cut_short, is_no_http, hangs_up])
async def test_nonsense_is_no_answer(settings: CloudSettings, speaks: Speaks) -> None:
    async with calling(settings, speaks) as vps:
        with pytest.raises(VpsUnreachable):
            await vps.get(ACCESS_KEYS, Jwks)


# --- a clock that is wrong ----------------------------------------------------------------------------------


class Strict:
    """Refuses calls that are not of its own time, and signs the refusal: whoever is wrong learns the time from it."""

    def __init__(self, made_up: MadeUpVps) -> None:
        self._made_up = made_up
        self.answered: list[int] = []
        made_up.does("GET", ACCESS_KEYS, self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)  # so that calls made at once are all under way
        status = 200 if abs(call_of(request)["iat"] - self._made_up.now()) < 10 else 401
        self.answered.append(status)
        return self._made_up.signed(request, httpx.Response(status, json={"keys": []}))


WRONG = [3600, -3600, 600, -600]


@pytest.mark.parametrize("ahead_s", WRONG)
async def test_a_node_whose_clock_is_wrong_learns_the_time_from_the_refusal(
    vps: Vps, clock: VpsClock, made_up: MadeUpVps, ahead_s: int
) -> None:
    made_up.ahead_s = -ahead_s
    strict = Strict(made_up)
    await vps.get(ACCESS_KEYS, Jwks)
    assert strict.answered == [401, 200]
    await vps.get(ACCESS_KEYS, Jwks)
    assert strict.answered == [401, 200, 200]
    assert abs(clock.now() - made_up.now()) < 2
    skew = clock.skew_s()
    assert skew is not None
    assert abs(skew - ahead_s) < 2


@pytest.mark.parametrize("ahead_s", WRONG)
async def test_a_wrong_clock_is_one_line_in_the_log(
    vps: Vps, made_up: MadeUpVps, caplog: pytest.LogCaptureFixture, ahead_s: int
) -> None:
    made_up.ahead_s = -ahead_s
    Strict(made_up)
    with caplog.at_level(logging.ERROR):
        for _ in range(5):
            await vps.get(ACCESS_KEYS, Jwks)
    (line,) = caplog.records
    assert line.message == "this machine's clock is wrong"
    assert abs(vars(line)["ahead_of_vps_s"] - ahead_s) < 2


async def test_a_clock_that_is_set_right_and_wrong_again_is_a_second_line(
    vps: Vps, clock: VpsClock, made_up: MadeUpVps, caplog: pytest.LogCaptureFixture
) -> None:
    Strict(made_up)
    for ahead_s in (600, 0, 600):
        made_up.ahead_s = -ahead_s
        await vps.get(ACCESS_KEYS, Jwks)
    assert [line.message for line in caplog.records if line.levelno == logging.ERROR] == [
        "this machine's clock is wrong"
    ] * 2


async def test_calls_that_a_wrong_clock_made_at_once_all_pass(vps: Vps, made_up: MadeUpVps) -> None:
    """As at the start of a node: the first answer sets the clock, and the others were signed before."""
    made_up.ahead_s = 3600
    strict = Strict(made_up)
    await asyncio.gather(*(vps.get(ACCESS_KEYS, Jwks) for _ in range(5)))
    assert sorted(strict.answered) == [200] * 5 + [401] * 5


async def test_a_refusal_that_is_not_about_the_clock_is_not_asked_again(vps: Vps, made_up: MadeUpVps) -> None:
    route = made_up.answers("GET", ACCESS_KEYS, httpx.Response(401))
    for _ in range(2):
        with pytest.raises(Exception, match="refused"):
            await vps.get(ACCESS_KEYS, Jwks)
    assert route.call_count == 2


async def test_nobody_else_can_set_the_clock(vps: Vps, clock: VpsClock, made_up: MadeUpVps) -> None:
    headers = {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"}
    made_up.does("GET", ACCESS_KEYS, lambda _: httpx.Response(401, headers=headers))
    with pytest.raises(VpsUnreachable):
        await vps.get(ACCESS_KEYS, Jwks)
    assert clock.skew_s() is None
