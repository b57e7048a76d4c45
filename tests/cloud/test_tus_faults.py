"""Resumable uploads where the disk fills up, the database takes no writes, or a client promises what it never sends."""

import asyncio
import os
import sqlite3
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from starlette.requests import ClientDisconnect

from cloud_service.node import Node
from cloud_service.settings import CloudSettings
from cloud_service.uploads.sweeping import sweep
from cloud_service.uploads.tus.actions import ROOM_PER_USER
from cloud_service.uploads.tus.living import ROOM_KEPT_S
from cloud_service.videos.store import VideoStore
from tests.clips import Clips, padded
from tests.cloud.made_up import MadeUpVps
from tests.cloud.resuming import CREATION, HEAD, Permitting, begin, head, is_empty, parts, patch, rows
from tests.cloud.running import RunningNode, a_video, eventually, running_node
from tests.cloud.things import TEACHER, USER, VIDEO
from tests.tus.table import OCTETS, VERSION, metadata, sha1

pytestmark = pytest.mark.anyio

DISK_BYTES = 8 * 2**20
LOCKED_FOR_S = 0.05


@pytest.fixture
async def node(settings: CloudSettings, made_up: MadeUpVps) -> AsyncIterator[RunningNode]:
    """It does not wait long for a lock."""
    Permitting(made_up)
    async with running_node(settings) as node:
        async with inside(node).database.transaction() as transaction:
            await transaction.fetch(f"PRAGMA busy_timeout = {LOCKED_FOR_S * 1000:.0f}")
        yield node


def inside(node: RunningNode) -> Node:
    assert node.node
    return node.node


def id_of(address: str) -> str:
    return address.rpartition("/")[2]


async def offset(node: RunningNode, address: str) -> int:
    answer = await head(node, address)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


@contextmanager
def crowded(node: RunningNode) -> Iterator[None]:
    """All room is promised to somebody else."""
    inside(node).space.recall("another", 2**60, 0)
    try:
        yield
    finally:
        inside(node).space.release("another")


def leave_alone(part: Path) -> None:
    """For longer than its room is kept."""
    idle = time.time() - ROOM_KEPT_S - 60
    os.utime(part, (idle, idle))


@asynccontextmanager
async def locked(node: RunningNode) -> AsyncIterator[None]:
    """Somebody else has the database's write lock, which the node gives up for that."""
    holder = sqlite3.connect(node.database, isolation_level=None, timeout=5, check_same_thread=False)
    try:
        await asyncio.to_thread(holder.execute, "BEGIN IMMEDIATE")
        yield
    finally:
        holder.close()


# --- room -----------------------------------------------------------------------------------------------


async def test_room_that_was_promised_is_there_whatever_fills_the_disk(node: RunningNode, clips: Clips) -> None:
    address = await begin(node, len(clips.film))
    with crowded(node):
        assert await patch(node, address, 0, clips.film[:1000]) == 204
        assert await patch(node, address, 1000, clips.film[1000:]) == 204


async def test_the_room_of_an_upload_that_nobody_goes_on_with_is_for_others(
    node: RunningNode, settings: CloudSettings, clips: Clips
) -> None:
    """Its bytes stay, and it goes on once there is room again."""
    space = inside(node).space
    address = await begin(node, len(clips.film))
    assert await patch(node, address, 0, clips.film[:1000]) == 204
    await inside(node).resumable.sweep()
    assert space.to_come([id_of(address)]) == len(clips.film) - 1000
    leave_alone(*parts(settings))
    await inside(node).resumable.sweep()
    assert space.to_come([id_of(address)]) == 0
    assert space.charged(str(USER), {}) == len(clips.film)
    with crowded(node):
        assert await patch(node, address, 1000, clips.film[1000:]) == 507
    assert await offset(node, address) == 1000
    assert await patch(node, address, 1000, clips.film[1000:2000]) == 204
    assert space.to_come([id_of(address)]) == len(clips.film) - 2000
    assert space.charged(str(USER), {}) == len(clips.film)
    assert await patch(node, address, 2000, clips.film[2000:]) == 204


@pytest.mark.settings(upload_bytes=10_000)
async def test_nobody_is_promised_the_whole_disk(node: RunningNode) -> None:
    addresses = [await begin(node) for _ in range(ROOM_PER_USER)]
    told = {**CREATION, "Upload-Length": "1000"}
    answer = await node.send("POST", "/uploads", USER, headers=told)
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    assert (await node.send("POST", "/uploads", TEACHER, headers=told)).status_code == 201
    assert await patch(node, addresses[0], 0, HEAD + bytes(1000)) == 204
    assert (await node.send("POST", "/uploads", USER, headers=told)).status_code == 201


# --- a creation that brings bytes -----------------------------------------------------------------------


async def dropping() -> AsyncIterator[bytes]:
    yield HEAD
    raise ClientDisconnect


async def test_a_creation_with_a_key_that_drops_keeps_what_arrived(node: RunningNode) -> None:
    told = {**CREATION, **OCTETS, "Upload-Length": "10000", "Idempotency-Key": "kept"}
    await node.send("POST", "/uploads", USER, headers=told, content=dropping())
    again = await node.send("POST", "/uploads", USER, headers=told)
    assert (again.status_code, again.headers["upload-offset"]) == (201, str(len(HEAD)))
    assert await patch(node, again.headers["location"], len(HEAD), b"more") == 204


async def test_a_creation_that_drops_and_cannot_be_found_again_leaves_nothing(
    node: RunningNode, settings: CloudSettings
) -> None:
    told = {**CREATION, **OCTETS, "Upload-Length": "10000"}
    await node.send("POST", "/uploads", USER, headers=told, content=dropping())
    assert await is_empty(node, settings)


async def test_a_creation_with_a_key_whose_bytes_are_refused_leaves_nothing(
    node: RunningNode, settings: CloudSettings
) -> None:
    told = {**CREATION, **OCTETS, "Upload-Length": "10000", "Idempotency-Key": "refused"}
    answer = await node.send("POST", "/uploads", USER, headers=told, content=b"no video at all" * 100)
    assert answer.status_code == 415
    assert await is_empty(node, settings)


async def test_a_repeated_creation_is_answered_before_its_bytes_and_closes(node: RunningNode) -> None:
    told = {**CREATION, **OCTETS, "Upload-Length": "10000", "Idempotency-Key": "early"}
    first = await node.send("POST", "/uploads", USER, headers=told, content=HEAD)
    again = await node.send("POST", "/uploads", USER, headers=told, content=HEAD)
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert (again.headers["connection"], again.headers["upload-offset"]) == ("close", str(len(HEAD)))
    assert "connection" not in (await node.send("POST", "/uploads", USER, headers=told)).headers


# --- a database that takes no writes --------------------------------------------------------------------


async def test_a_row_that_cannot_go_now_is_in_nobodys_way(node: RunningNode, settings: CloudSettings) -> None:
    told = {**CREATION, "Upload-Length": "10000", "Idempotency-Key": "once"}
    first = await node.send("POST", "/uploads", USER, headers=told)
    async with locked(node):
        await node.send("DELETE", first.headers["location"], USER, headers=VERSION)
    assert await rows(node) == [id_of(first.headers["location"])]
    again = await node.send("POST", "/uploads", USER, headers=told)
    assert again.status_code == 201
    assert await rows(node) == [id_of(again.headers["location"])] == [part.name for part in parts(settings)]


async def test_what_could_not_go_goes_with_the_next_sweep(node: RunningNode, settings: CloudSettings) -> None:
    for _ in range(3):
        await begin(node)
    for part in parts(settings):
        os.utime(part, (0, 0))
    async with locked(node):
        await inside(node).resumable.sweep()
    assert (len(parts(settings)), len(await rows(node))) == (0, 3)
    await inside(node).resumable.sweep()
    assert await is_empty(node, settings)


async def test_a_claim_that_was_not_released_keeps_nobody_out(node: RunningNode, clips: Clips) -> None:
    """The upload's own, and another's of the same lesson."""
    told = {**CREATION, "Upload-Metadata": metadata(lesson_id=str(VIDEO)), "Upload-Length": str(len(clips.film))}
    begun = [(await node.send("POST", "/uploads", USER, headers=told)).headers["location"] for _ in range(2)]
    for claiming in begun:
        async with inside(node).database.transaction() as transaction:
            values = (id_of(claiming), str(VIDEO), str(USER))
            await transaction.execute("INSERT OR REPLACE INTO uploads (id, place, owner_id) VALUES (?, ?, ?)", values)
        if claiming == begun[0]:
            await sweep(inside(node))
            assert await inside(node).database.fetch("SELECT id FROM uploads") == []
    assert await patch(node, begun[0], 0, clips.film[:-1]) == 204
    assert await patch(node, begun[1], 0, clips.film[:-1]) == 204
    async with locked(node):
        assert await patch(node, begun[1], len(clips.film) - 1, clips.film[-1:]) == 503
    assert await offset(node, begun[1]) == len(clips.film) - 1
    assert await patch(node, begun[0], len(clips.film) - 1, clips.film[-1:]) == 204
    assert inside(node).claims == set()


async def test_a_lock_when_a_checksum_was_right_loses_nothing(node: RunningNode, clips: Clips) -> None:
    """Neither what comes later, when the node starts anew, nor the last byte, which would end the upload unfinished."""
    address, half = await begin(node, len(clips.film)), len(clips.film) // 2
    database = inside(node).database
    for at, content in ((0, clips.film[:half]), (half, clips.film[half:])):

        async def locking(content: bytes = content) -> AsyncIterator[bytes]:
            await held.enter_async_context(locked(node))
            yield content

        told = {**VERSION, **OCTETS, "Upload-Offset": str(at), "Upload-Checksum": sha1(content)}
        async with AsyncExitStack() as held:
            answer = await node.send("PATCH", address, USER, headers=told, content=locking())
        assert answer.status_code == 503
        assert await offset(node, address) == min(at + len(content), len(clips.film) - 1)
        assert [row["sure_bytes"] for row in await database.fetch("SELECT sure_bytes FROM resumable_uploads")] == [None]
    assert await patch(node, address, len(clips.film) - 1, clips.film[-1:]) == 204


# --- a database that is lost ----------------------------------------------------------------------------


async def test_uploads_end_when_the_database_is_lost_and_what_can_be_resumed_goes_on_at_the_new_one(
    node: RunningNode, settings: CloudSettings, clips: Clips
) -> None:
    old, half = inside(node), len(clips.film) // 2
    address = await begin(node, len(clips.film))
    are_sending = asyncio.Barrier(3)

    async def sending() -> AsyncIterator[bytes]:
        yield clips.film[:half]
        await are_sending.wait()
        await asyncio.sleep(60)

    told = {**VERSION, **OCTETS, "Upload-Offset": "0"}
    resumable = asyncio.create_task(node.send("PATCH", address, USER, headers=told, content=sending()))
    single = asyncio.create_task(node.send("POST", "/videos?kind=practice&title=x", USER, content=sending()))
    await are_sending.wait()
    node.database.unlink()
    assert {answer.status_code for answer in await asyncio.gather(resumable, single)} == {503}
    await eventually(lambda: node.node not in (None, old))
    assert list((settings.folder / "media" / "scratch").iterdir()) == []
    assert await offset(node, address) == half
    assert await patch(node, address, half, clips.film[half:]) == 204


# --- a disk that is full --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(settings: CloudSettings) -> Iterator[Path]:
    """For the media only."""
    media = settings.folder / "media"
    media.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", media], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        yield media
    finally:
        subprocess.run(["umount", media], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """To the last byte."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


@pytest.mark.settings(disk_reserve_bytes=0)
async def test_of_an_upload_that_the_disk_did_not_take_to_its_end_what_fits_is_kept(
    small_disk: Path, node: RunningNode, settings: CloudSettings, clips: Clips
) -> None:
    film = padded(clips.film, DISK_BYTES * 3 // 4)
    address = await begin(node, len(film))
    (small_disk / "others").write_bytes(bytes(DISK_BYTES // 2))
    assert await patch(node, address, 0, film) == 507
    kept = await offset(node, address)
    assert DISK_BYTES // 4 < kept < len(film)
    (part,) = parts(settings)
    assert part.read_bytes() == film[:kept]
    (small_disk / "others").unlink()
    assert await patch(node, address, kept, film[kept:]) == 204
    shown = (await node.get(f"/videos/{id_of(address)}")).json()
    assert shown["size"] == len(film)


@pytest.mark.settings(disk_reserve_bytes=0)
async def test_a_last_byte_for_whose_video_there_is_no_room_is_taken_when_there_is(
    small_disk: Path, node: RunningNode, clips: Clips
) -> None:
    last = len(clips.film) - 1
    address = await begin(node, len(clips.film))
    assert await patch(node, address, 0, clips.film[:last]) == 204
    with filled(small_disk):
        for _ in range(2):
            assert await patch(node, address, last, clips.film[last:]) == 507
            assert await offset(node, address) == last
    assert await patch(node, address, last, clips.film[last:]) == 204
    assert len(list((small_disk / "videos").glob("*/*/original"))) == 1


async def test_a_place_that_cannot_be_filled_is_free_for_the_next_try(tmp_path: Path) -> None:
    store, video = VideoStore(tmp_path), a_video()
    with pytest.raises(FileNotFoundError):
        store.keep(store.scratch(video.id), video)
    store.scratch(video.id).write_bytes(b"bytes")
    store.keep(store.scratch(video.id), video)
    assert store.original(video.owner_id, video.id).read_bytes() == b"bytes"


async def test_what_lies_in_a_place_without_its_bytes_goes_when_it_is_taken_back(tmp_path: Path) -> None:
    """A crash came before they were moved there."""
    store, video = VideoStore(tmp_path), a_video()
    store.begin_part(video.id, b"{}")
    store.folder(video).mkdir(parents=True)
    store.take_back(video.owner_id, video.id)
    store.keep(store.part(video.id), video)
    assert store.original(video.owner_id, video.id).exists()
