"""What a node sends of a file is in memory before, and only what is not there is waited for in a thread."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_service.playback.memory import APART_BYTES, bring_in

pytestmark = pytest.mark.anyio
SIZE = 8 * APART_BYTES + 17


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[int]:
    (file := tmp_path / "film").write_bytes(os.urandom(SIZE))
    opened = os.open(file, os.O_RDONLY)
    os.fsync(opened)
    yield opened
    os.close(opened)


@pytest.fixture
def readers(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The threads that read."""
    found, pread = [], os.pread

    def noted(handle: int, count: int, start: int) -> bytes:
        found.append(threading.get_ident())
        return pread(handle, count, start)

    monkeypatch.setattr(os, "pread", noted)
    return found


async def test_what_is_in_memory_is_not_read(handle: int, readers: list[int]) -> None:
    os.preadv(handle, [bytearray(SIZE)], 0)
    for part in (range(SIZE), range(5, 6), range(SIZE - 1, SIZE), range(APART_BYTES - 1, APART_BYTES + 1)):
        await bring_in(handle, part)
    assert readers == []


@pytest.mark.parametrize("missing", [0, 3 * APART_BYTES, SIZE - 18])
async def test_what_is_not_is_read_by_another_thread(
    handle: int, readers: list[int], missing: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    preadv = os.preadv

    def as_if_missing(handle: int, buffers: list[bytearray], place: int, flags: int = 0) -> int:
        if not readers and missing <= place < missing + 4096 and flags & os.RWF_NOWAIT:
            raise BlockingIOError
        return preadv(handle, buffers, place, flags)

    monkeypatch.setattr(os, "preadv", as_if_missing)
    for _ in range(2):
        await bring_in(handle, range(SIZE - 17))
        assert len(readers) == 1
        assert readers != [threading.get_ident()]


async def test_where_the_system_cannot_say_everything_is_read(
    handle: int, readers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> int:
        raise OSError("Operation not supported")

    monkeypatch.setattr(os, "preadv", unknown)
    await asyncio.gather(*(bring_in(handle, range(SIZE)) for _ in range(3)))
    assert len(readers) == 3


async def test_what_the_file_does_not_have_is_left_to_whoever_sends_it(handle: int, readers: list[int]) -> None:
    os.preadv(handle, [bytearray(SIZE)], 0)
    await bring_in(handle, range(SIZE, SIZE + APART_BYTES))
    assert readers == []
