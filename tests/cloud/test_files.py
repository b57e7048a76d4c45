"""Bytes on their way to disk and back: scratch files, the video store."""

import asyncio
import hashlib
import os
import resource
from pathlib import Path

import pytest

from cloud_service.uploads.scratch import BLOCK_BYTES, UPLOADS_AT_ONCE, ScratchFile
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore

CONTENT = os.urandom(3 * 2**20 + 17)


def stored(owner_id: str, video_id: str) -> StoredVideo:
    return StoredVideo(video_id, "lesson", "course", owner_id, "omar", 5, "ab" * 32, "video/mp4", 1.0, 1, 1, 0)


# --- scratch --------------------------------------------------------------------------------------------


@pytest.mark.anyio
@pytest.mark.parametrize("chunk", [1, 1000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 5 * BLOCK_BYTES])
async def test_a_scratch_file_holds_what_was_written(tmp_path: Path, chunk: int) -> None:
    content = CONTENT if chunk > 1 else CONTENT[:5000]
    scratch = ScratchFile(tmp_path / "upload")
    for start in range(0, len(content), chunk):
        await scratch.write(content[start : start + chunk])
    assert await scratch.finish() == hashlib.sha256(content).hexdigest()
    assert (scratch.size, scratch.path.read_bytes()) == (len(content), content)


@pytest.mark.anyio
async def test_a_scratch_file_takes_what_is_reused_afterwards(tmp_path: Path) -> None:
    """The caller may change its buffer as soon as `write` returns."""
    scratch, buffer = ScratchFile(tmp_path / "upload"), bytearray(1000)
    for number in range(5000):
        buffer[:] = bytes([number % 256]) * 1000
        await scratch.write(bytes(buffer))
    expected = b"".join(bytes([number % 256]) * 1000 for number in range(5000))
    assert await scratch.finish() == hashlib.sha256(expected).hexdigest()


@pytest.mark.anyio
@pytest.mark.parametrize("written", [0, 10, BLOCK_BYTES, 4 * BLOCK_BYTES])
async def test_a_discarded_scratch_file_is_gone_with_its_handle(tmp_path: Path, written: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    scratch = ScratchFile(tmp_path / "upload")
    await scratch.write(bytes(written))
    await scratch.discard()
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.anyio
async def test_a_scratch_file_can_be_discarded_whenever_its_task_is_cancelled(tmp_path: Path) -> None:
    for moment in range(8):
        scratch = ScratchFile(tmp_path / f"upload-{moment}")

        async def fill(scratch: ScratchFile = scratch) -> None:
            for _ in range(20):
                await scratch.write(bytes(BLOCK_BYTES // 2))
            await scratch.finish()

        task = asyncio.ensure_future(fill())
        await asyncio.sleep(0.002 * moment)
        task.cancel()
        await asyncio.wait([task])
        await scratch.discard()
    assert os.listdir(tmp_path) == []


@pytest.mark.anyio
async def test_a_disk_that_takes_no_more_is_told_however_much_is_still_to_come(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    scratch = ScratchFile(tmp_path / "upload")
    resource.setrlimit(resource.RLIMIT_FSIZE, (3 * BLOCK_BYTES, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            for _ in range(100):
                await asyncio.wait_for(scratch.write(bytes(BLOCK_BYTES)), 60)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    with pytest.raises(OSError, match="File too large"):
        await scratch.write_out()
    await scratch.close()
    assert scratch.path.stat().st_size == scratch.stored == 3 * BLOCK_BYTES


@pytest.mark.anyio
async def test_uploads_that_come_faster_than_they_are_written_leave_others_their_turn(tmp_path: Path) -> None:
    """As many as there are threads, each of which always has something to write."""
    is_over = False

    async def fill(scratch: ScratchFile) -> None:
        while not is_over:
            await scratch.write(bytes(BLOCK_BYTES))

    slow = [[hashlib.sha256() for _ in range(24)] for _ in range(UPLOADS_AT_ONCE)]
    greedy = [ScratchFile(tmp_path / f"greedy-{number}", digests=digests) for number, digests in enumerate(slow)]
    filling = [asyncio.ensure_future(fill(scratch)) for scratch in greedy]
    await asyncio.sleep(0.2)
    modest = ScratchFile(tmp_path / "modest")
    await modest.write(bytes(3 * BLOCK_BYTES))
    async with asyncio.timeout(30):
        await modest.finish()
    assert not any(task.done() for task in filling)
    is_over = True
    await asyncio.gather(*filling)
    for scratch in greedy:
        await scratch.discard()


@pytest.mark.anyio
async def test_a_scratch_file_that_cannot_be_made_keeps_nothing(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(FileNotFoundError):
        ScratchFile(tmp_path / "no-such-folder" / "upload")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    for free in range(3):
        resource.setrlimit(resource.RLIMIT_NOFILE, (_limit_that_leaves(free), limits[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                ScratchFile(tmp_path / "upload")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(os.listdir("/proc/self/fd")) == before
    assert os.listdir(tmp_path) == []


def _limit_that_leaves(count: int) -> int:
    """So many more descriptors."""
    lowest = [os.dup(0) for _ in range(count + 1)]
    for handle in lowest:
        os.close(handle)
    return lowest[-1]


@pytest.mark.anyio
async def test_two_uploads_never_share_a_scratch_file(tmp_path: Path) -> None:
    scratch = ScratchFile(tmp_path / "upload")
    with pytest.raises(FileExistsError):
        ScratchFile(tmp_path / "upload")
    await scratch.discard()


# --- the store ------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path: Path) -> VideoStore:
    return VideoStore(tmp_path)


def keep(store: VideoStore, owner_id: str, video_id: str) -> None:
    store.scratch(video_id).write_bytes(b"bytes")
    store.keep(store.scratch(video_id), stored(owner_id, video_id))


def test_a_kept_file_is_where_it_is_streamed_from(store: VideoStore) -> None:
    keep(store, "omar", "v1")
    assert Path(store.path(stored("omar", "v1"))).read_bytes() == b"bytes"
    assert not store.scratch("v1").exists()


def test_removing_twice_is_no_error(store: VideoStore) -> None:
    keep(store, "omar", "v1")
    for _ in range(2):
        store.remove("omar", "v1")
    assert not store.original("omar", "v1").exists()


def test_a_sweep_removes_what_no_row_knows_and_nothing_else(store: VideoStore) -> None:
    for owner_id, video_id in (("omar", "v1"), ("omar", "v2"), ("mona", "v3")):
        keep(store, owner_id, video_id)
    store.scratch("half").write_bytes(b"half")
    assert sorted(store.sweep([stored("omar", "v1")])) == ["half", "v2", "v3"]
    assert store.original("omar", "v1").exists()
    assert not store.scratch("half").exists()
    assert store.sweep([stored("omar", "v1")]) == []


def test_a_video_under_another_owners_name_is_not_the_one_that_is_known(store: VideoStore) -> None:
    keep(store, "mona", "v1")
    assert store.sweep([stored("omar", "v1")]) == ["v1"]


def test_what_lies_beside_a_video_is_its_row_once_more(store: VideoStore) -> None:
    keep(store, "omar", "v1")
    keep(store, "mona", "v2")
    assert sorted(store.read_rows(), key=lambda video: video.id) == [stored("omar", "v1"), stored("mona", "v2")]


def test_a_video_from_before_there_were_rows_on_the_disk_gets_its_own(store: VideoStore) -> None:
    for video_id in ("v1", "v2"):
        keep(store, "omar", video_id)
    row = store.original("omar", "v1").with_name("video.json")
    row.unlink()
    untouched = store.original("omar", "v2").with_name("video.json").stat().st_mtime_ns
    store.add_missing_rows([stored("omar", "v1"), stored("omar", "v2"), stored("omar", "nowhere")])
    assert len(store.read_rows()) == 2
    assert store.original("omar", "v2").with_name("video.json").stat().st_mtime_ns == untouched
    assert not store.original("omar", "nowhere").parent.exists()


@pytest.mark.parametrize("written", ["", "{", "[]", "3", "null", '{"id": "v1"}', '{"id": "v1", "more": 1}', "\x00\x00"])
def test_a_row_that_cannot_be_read_is_no_row(store: VideoStore, written: str) -> None:
    keep(store, "omar", "v1")
    keep(store, "omar", "v2")
    store.original("omar", "v1").with_name("video.json").write_text(written)
    assert store.read_rows() == [stored("omar", "v2")]


def test_a_video_that_was_cut_short_is_not_here_in_full(store: VideoStore) -> None:
    keep(store, "omar", "v1")
    os.truncate(store.original("omar", "v1"), 4)
    assert store.read_rows() == []


def test_a_row_whose_video_never_came_is_not_here_in_full(store: VideoStore) -> None:
    """As after a kill between the two."""
    keep(store, "omar", "v1")
    store.original("omar", "v1").unlink()
    assert store.read_rows() == []
    assert store.sweep([]) == ["v1"]


@pytest.mark.parametrize("size", [4, 6])
def test_a_sweep_keeps_bytes_that_do_not_fit_what_lies_beside_them(store: VideoStore, size: int) -> None:
    keep(store, "omar", "v1")
    os.truncate(store.original("omar", "v1"), size)
    assert store.sweep([]) == []
    assert store.original("omar", "v1").stat().st_size == size


def test_a_row_that_cannot_be_read_for_a_moment_stops_whoever_reads_and_loses_nothing(store: VideoStore) -> None:
    """That is no word that there is none: the video would be left out, or swept away."""
    keep(store, "omar", "v1")
    row = store.original("omar", "v1").with_name("video.json")
    row.rename(row.with_name("kept"))
    row.mkdir()  # reading it is an OSError
    for reads in (store.read_rows, lambda: store.sweep([])):
        with pytest.raises(IsADirectoryError):
            reads()
    row.rmdir()
    row.with_name("kept").rename(row)
    assert store.read_rows() == [stored("omar", "v1")]
    assert store.original("omar", "v1").read_bytes() == b"bytes"
