"""The connection to the database is lost after a commit was asked for: nobody knows whether it was made."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from sqlalchemy.engine import URL, make_url

from tests.vps.people import ask_to_teach, refused, sign_in, teacher_form
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

CHUNK = 64 * 1024


class Between:
    """Passes on what the service and PostgreSQL say to each other, but for the answer to the COMMIT of whoever has said
    `doomed`: that is made, and the service never hears of it.
    """

    def __init__(self) -> None:
        self.doomed: bytes | None = None
        self.lost = 0
        self.target = URL.create("postgresql")

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await self._connect()
        answering = asyncio.create_task(pass_on(from_server, writer))
        is_doomed = False
        with suppress(ConnectionError):
            while said := await reader.read(CHUNK):
                is_doomed |= self.doomed is not None and self.doomed in said
                if is_doomed and b"COMMIT" in said:
                    await ended(answering)
                    to_server.write(said)
                    await from_server.read(CHUNK)
                    self.lost += 1
                    break
                to_server.write(said)
                await to_server.drain()
        await ended(answering)
        for end in (to_server, writer):
            end.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        folder, port = self.target.query.get("host"), self.target.port or 5432
        if folder:
            return await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.{port}")
        return await asyncio.open_connection(self.target.host, port)


async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while said := await reader.read(CHUNK):
            writer.write(said)
            await writer.drain()


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
def between() -> Between:
    return Between()


@pytest.fixture
async def database_url(database_url: str, between: Between) -> AsyncIterator[str]:
    between.target = make_url(database_url)
    server = await asyncio.start_server(between.handle, "127.0.0.1")
    port = server.sockets[0].getsockname()[1]
    plain = {"sslmode": "disable", "gssencmode": "disable"}
    way = between.target.set(host="127.0.0.1", port=port, query=plain)
    yield way.render_as_string(hide_password=False)
    server.close()


async def test_a_teacher_who_was_stored_all_the_same_has_the_picture(vps: Vps, between: Between) -> None:
    between.doomed = b"INSERT INTO users"
    refused(await ask_to_teach(vps, teacher_form()), 503, "database_unreachable")
    between.doomed = None
    assert between.lost == 1
    omar = await sign_in(vps, "omar")
    for address in omar.user["image"].values():
        assert (await vps.http.get(urlsplit(address).path)).status_code == 200


async def test_one_who_is_refused_leaves_no_picture(vps: Vps) -> None:
    assert (await ask_to_teach(vps, teacher_form())).status_code == 201
    refused(await ask_to_teach(vps, teacher_form()), 409, "already_taken")
    kept = await vps.row("SELECT image_id FROM users")
    pictures = list(vps.app.state.vps.images.folder.iterdir())
    assert {path.name for path in pictures} == {f"{kept['image_id']}-{size}.webp" for size in ("square", "thumbnail")}
