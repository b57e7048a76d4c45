"""How long a right that has ended is still served, and how soon one that was bought is, while 200 people watch."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import psycopg

from tests.bench.checks import authorised, seed_people
from tests.bench.figures import Figure
from tests.bench.rig import Rig, make_film

VIEWERS, REVOKED, BOUGHT = 200, 100, 100
RANGE_BYTES, EVERY_S = 256 * 1024, 2.0
"""What each viewer fetches: about 1 Mbit/s."""
MIB = 2**20


@dataclass
class Viewer:
    """Somebody with a key, watching a video on one of the nodes."""

    user_id: str
    headers: dict[str, str]
    uri: str

    async def watch(self) -> None:
        """Until cancelled or refused."""
        parts = urlsplit(self.uri)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", f"Range: bytes=0-{RANGE_BYTES - 1}"]
        request = "\r\n".join([*lines, *(f"{k}: {v}" for k, v in self.headers.items()), "", ""]).encode()
        try:
            await asyncio.sleep(EVERY_S * (hash(self.user_id) % 100) / 100)
            while True:
                writer.write(request)
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 206"):
                    return
                await reader.readexactly(RANGE_BYTES)
                await asyncio.sleep(EVERY_S)
        finally:
            writer.close()


def quantiles(seconds: list[float]) -> tuple[float, float]:
    """p50 and p99."""
    return statistics.median(seconds), statistics.quantiles(seconds, n=100)[98]


@asynccontextmanager
async def watching(viewers: list[Viewer]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(viewer.watch()) for viewer in viewers]
    try:
        await asyncio.sleep(2 * EVERY_S)
        yield
    finally:
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)


def _made_at(database: str, user_id: str) -> float:
    """When the transaction with the change began: a little before it was committed."""
    with psycopg.connect(database) as connection:
        made = "SELECT extract(epoch FROM created_at) FROM changes WHERE kind = 'key_voided' AND user_id = %s"
        row = connection.execute(made, (user_id,)).fetchone()
    assert row
    return float(row[0])


async def _revoke(http: httpx.AsyncClient, rig: Rig, viewer: Viewer, key_id: str) -> float:
    """Seconds from the VPS's transaction to the first range that is refused."""
    one_byte = {**viewer.headers, "Range": "bytes=0-0"}
    voided = asyncio.create_task(http.post(f"{rig.vps}/api/admin/keys/{key_id}/void", headers=rig.admin))
    while (await http.get(viewer.uri, headers=one_byte)).is_success:
        pass
    refused_at = time.time()
    (await voided).raise_for_status()
    return refused_at - _made_at(rig.stack.database.url(), viewer.user_id)


async def _buy(http: httpx.AsyncClient, rig: Rig, course: str, buyer: dict[str, str]) -> float:
    """Seconds from asking whether it was paid to the first byte."""
    order = {"course_id": course, "provider": "simulator"}
    payment = (await http.post(f"{rig.vps}/api/payments", json=order, headers=buyer)).raise_for_status().json()
    await http.post(f"{payment['action']['url']}/paid")
    started = time.perf_counter()
    paid = await http.post(f"{rig.vps}/api/payments/{payment['id']}/verify", headers=buyer)
    uri = paid.raise_for_status().json()["videos"][0]["uri"]
    (await http.get(uri, headers={**buyer, "Range": "bytes=0-0"})).raise_for_status()
    return time.perf_counter() - started


def _sell(rig: Rig, lessons: list[str]) -> None:
    """The course costs something from now on; those who have a key keep it."""
    price = {"price": {"amount": 1000, "currency": "EGP"}}
    httpx.patch(f"{rig.vps}/api/courses/{rig.course}", json=price, headers=rig.teacher).raise_for_status()
    with psycopg.connect(rig.stack.database.url()) as connection:
        while connection.execute("SELECT count(*) FROM videos").fetchone() != (len(lessons),):
            time.sleep(0.1)
            connection.rollback()


async def measure(rig: Rig) -> list[Figure]:
    film = make_film(rig.folder / "film.mp4", 8 * MIB)
    nodes = [service.url for service in rig.stack.nodes]
    lessons = [rig.add_lesson() for _ in nodes]
    videos = [rig.upload(film, lesson, node)["id"] for lesson, node in zip(lessons, nodes, strict=True)]
    for video, node in zip(videos, nodes, strict=True):
        rig.wait_until_ready(video, node)
    _sell(rig, lessons)
    uris = [f"{node}/videos/{video}/stream" for node, video in zip(nodes, videos, strict=True)]
    database = rig.stack.database.url()
    people = seed_people(database, "student", VIEWERS, rig.course)
    viewers = [
        Viewer(str(user_id), headers, uris[number % len(uris)])
        for number, ((user_id, _), headers) in enumerate(zip(people, authorised(rig, people, "student"), strict=True))
    ]
    with psycopg.connect(database) as connection:
        keys: dict[str, str] = dict(connection.execute("SELECT user_id::text, id::text FROM keys").fetchall())
    buyers = authorised(rig, seed_people(database, "student", BOUGHT, None), "student")
    async with httpx.AsyncClient(timeout=30, trust_env=False) as http, watching(viewers):
        stopped = [await _revoke(http, rig, viewer, keys[viewer.user_id]) for viewer in viewers[:REVOKED]]
        started = [await _buy(http, rig, rig.course, buyer) for buyer in buyers]
    (stop_50, stop_99), (start_50, start_99) = quantiles(stopped), quantiles(started)
    crowd = f"{VIEWERS} viewers, {len(nodes)} nodes"
    return [
        Figure(f"commit to first refused range, p50, {crowd}", round(stop_50 * 1000, 1), "ms", target="<= 2000"),
        Figure(f"commit to first refused range, p99, {crowd}", round(stop_99 * 1000, 1), "ms", target="<= 2000"),
        Figure(f"verify to first byte, p50, {crowd}", round(start_50 * 1000, 1), "ms"),
        Figure(f"verify to first byte, p99, {crowd}", round(start_99 * 1000, 1), "ms"),
    ]
