"""What a node sends of a file is in memory before, and only what is not there is waited for in a thread."""

import asyncio
import errno
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_service.playback import memory
from cloud_service.playback.memory import APART_BYTES, bring_in, is_all_in_memory

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


@pytest.fixture
def older(monkeypatch: pytest.MonkeyPatch) -> None:
    """A system without cachestat(2)."""
    monkeypatch.setattr(memory, "_CACHESTAT", -1)


@pytest.mark.parametrize("system", ["", "older"])
async def test_what_is_in_memory_is_not_read(
    handle: int, readers: list[int], system: str, request: pytest.FixtureRequest
) -> None:
    if system:
        request.getfixturevalue(system)
    os.preadv(handle, [bytearray(SIZE)], 0)
    for part in (range(SIZE), range(5, 6), range(SIZE - 1, SIZE), range(APART_BYTES - 1, APART_BYTES + 1)):
        await bring_in(handle, part)
    assert readers == []


async def test_the_system_says_when_not_all_is_in_memory_any_more(
    handle: int, readers: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then no place is tried: a quick disk would bring in that, and nothing of what is around it."""
    parts = (range(SIZE), range(5, 6), range(SIZE - 1, SIZE), range(APART_BYTES - 1, APART_BYTES + 1))
    os.preadv(handle, [bytearray(SIZE)], 0)
    if not is_all_in_memory(handle, range(SIZE)):
        pytest.skip("the system does not say")
    assert all(is_all_in_memory(handle, part) for part in parts)
    os.posix_fadvise(handle, 0, 0, os.POSIX_FADV_DONTNEED)
    if is_all_in_memory(handle, range(SIZE)):
        pytest.skip("the file system is in memory itself")
    assert not any(is_all_in_memory(handle, part) for part in parts)
    monkeypatch.setattr(os, "preadv", lambda *_: pytest.fail("a place is tried"))
    await bring_in(handle, range(SIZE))
    assert len(readers) == 1
    assert all(is_all_in_memory(handle, part) for part in parts)


@pytest.mark.parametrize(
    ("missing", "system"),
    [(0, "older"), (3 * APART_BYTES, "older"), (SIZE - 18, "older"), (4 * APART_BYTES, ""), (SIZE - 18, "")],
)
async def test_what_is_not_is_read_by_another_thread(
    handle: int, readers: list[int], missing: int, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system says that all is there, it may still be on its way."""
    if system:
        monkeypatch.setattr(memory, "_CACHESTAT", -1)
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


async def test_what_the_system_says_is_there_is_tried_at_few_places(
    handle: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.preadv(handle, [bytearray(SIZE)], 0)
    if not is_all_in_memory(handle, range(SIZE)):
        pytest.skip("the system does not say")
    tried, preadv = [], os.preadv

    def noted(handle: int, buffers: list[bytearray], place: int, flags: int = 0) -> int:
        tried.append(place)
        return preadv(handle, buffers, place, flags)

    monkeypatch.setattr(os, "preadv", noted)
    await bring_in(handle, range(SIZE))
    assert tried == [SIZE // 2, SIZE - 1]


@pytest.fixture
def without_flag(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system that reads and waits, as those of a network do."""

    def unknown(*_: object) -> int:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(os, "preadv", unknown)


@pytest.mark.usefixtures("older", "without_flag")
async def test_where_the_system_cannot_say_everything_is_read(handle: int, readers: list[int]) -> None:
    await asyncio.gather(*(bring_in(handle, range(SIZE)) for _ in range(3)))
    assert len(readers) == 3


async def test_where_only_the_system_says_that_all_is_there_only_its_end_is_waited_for(
    handle: int, without_flag: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.pread(handle, SIZE, 0)
    if not is_all_in_memory(handle, range(SIZE)):
        pytest.skip("the system does not say")
    found, pread = [], os.pread

    def noted(handle: int, count: int, start: int) -> bytes:
        found.append((start, count, threading.get_ident() != threading.main_thread().ident))
        return pread(handle, count, start)

    monkeypatch.setattr(os, "pread", noted)
    await bring_in(handle, range(5, SIZE))
    assert found == [(SIZE - 1, 1, True)]


@pytest.mark.usefixtures("older")
async def test_what_the_file_does_not_have_is_left_to_whoever_sends_it(handle: int, readers: list[int]) -> None:
    os.preadv(handle, [bytearray(SIZE)], 0)
    await bring_in(handle, range(SIZE, SIZE + APART_BYTES))
    assert readers == []
