"""Reading in blocks whose memory is used again."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud_service.playback.blocks import BLOCK_BYTES, IDLE_BUFFERS, blocks, read_cached

pytestmark = pytest.mark.anyio
CONTENT = b"".join(bytes([number]) * BLOCK_BYTES for number in range(IDLE_BUFFERS + 4)) + b"end"


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[int]:
    (file := tmp_path / "film").write_bytes(CONTENT)
    opened = os.open(file, os.O_RDONLY)
    yield opened
    os.close(opened)


async def test_blocks_that_are_kept_stay_what_they_were(handle: int) -> None:
    for _ in range(2):  # the second time in memory that was used before
        kept = [block async for block in blocks(handle, 0, len(CONTENT))]
        assert len(kept) == IDLE_BUFFERS + 5
        assert b"".join(kept) == CONTENT
        del kept


def test_a_part_of_a_block_that_somebody_keeps_stays_what_it_was(handle: int) -> None:
    first = read_cached(handle, 0, BLOCK_BYTES)
    assert first
    part = memoryview(first)[1:9]
    del first
    for number in range(1, 5):
        assert read_cached(handle, number * BLOCK_BYTES, BLOCK_BYTES)
    assert part == bytes(8)


def test_a_block_is_read_into_memory_that_nobody_looks_into_any_more(handle: int) -> None:
    places = set()
    for number in range(8):
        block = read_cached(handle, number * BLOCK_BYTES, BLOCK_BYTES)
        assert isinstance(block, memoryview)
        assert (len(block), block[0], block[-1]) == (BLOCK_BYTES, number, number)
        places.add(id(block.obj))
        del block
    assert len(places) == 1


async def test_the_end_of_a_file_is_as_long_as_it_is(handle: int) -> None:
    tail = read_cached(handle, len(CONTENT) - BLOCK_BYTES + 1, BLOCK_BYTES)
    assert tail
    assert bytes(tail) == CONTENT[-BLOCK_BYTES + 1 :]
    assert [bytes(block) async for block in blocks(handle, len(CONTENT) - 3, len(CONTENT))] == [b"end"]
    with pytest.raises(EOFError):
        async for _ in blocks(handle, len(CONTENT) - 3, len(CONTENT) + 1):
            pass
