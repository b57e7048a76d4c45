"""What a running node finds on its disk and in its tables that nobody knows or needs any more."""

import asyncio
import os
import time
from pathlib import Path

import pytest

from cloud_service.settings import CloudSettings
from cloud_service.uploads.idempotency import KEPT_S
from cloud_service.uploads.sweeping import OLD_S, sweep, sweep_regularly
from cloud_service.videos.models import StoredVideo
from tests.cloud.running import FILM, a_video, eventually, opened, store

pytestmark = pytest.mark.anyio


def aged(path: Path) -> Path:
    """Changed so long ago that nobody can be at it."""
    long_ago = time.time() - OLD_S - 1
    os.utime(path, (long_ago, long_ago))
    return path


def aged_file(path: Path) -> None:
    path.write_bytes(b"some")
    aged(path)


def without_row(settings: CloudSettings, video: StoredVideo) -> Path:
    """As an upload leaves it that ended between the move and the commit."""
    folder = settings.folder / "media" / "videos" / video.owner_id / video.id
    folder.mkdir(parents=True)
    (folder / "original").write_bytes(FILM)
    (folder / "video.json").write_bytes(video.to_json())
    return folder


async def test_of_leftovers_only_what_is_old_and_not_under_way_goes(settings: CloudSettings) -> None:
    async with opened(settings) as node:
        kept = [node.store.scratch("young"), node.store.scratch("under-way")]
        gone = [node.store.scratch("old"), node.store.scratch("going-old")]
        for path in (*kept, gone[0]):
            path.write_bytes(b"some")
        gone[1].mkdir()
        for path in (kept[1], *gone):
            aged(path)
        node.space.recall("under-way", 10, 4)
        await sweep(node)
        assert [path.exists() for path in (*kept, *gone)] == [True, True, False, False]


async def test_of_videos_without_a_row_only_what_is_old_and_not_under_way_goes(settings: CloudSettings) -> None:
    async with opened(settings) as node:
        await store(node, a_video(1))
        known = aged(node.store.folder(a_video(1)))
        old, under_way = (aged(without_row(settings, a_video(number))) for number in (2, 3))
        young = without_row(settings, a_video(4))
        node.space.recall(a_video(3).id, 10, 4)
        await sweep(node)
        assert [folder.exists() for folder in (known, old, under_way, young)] == [True, False, True, True]


async def test_it_is_swept_again_and_again_also_after_a_time_that_failed(
    settings: CloudSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(settings) as node:
        scratch = node.store.scratch("x").parent
        sweeping = asyncio.ensure_future(sweep_regularly(node, every_s=0.01))
        for name in ("first", "second"):
            aged_file(scratch / name)
            await eventually(lambda name=name: not (scratch / name).exists())
        scratch.rename(scratch.with_name("away"))
        await eventually(lambda: "not swept" in caplog.text)
        scratch.with_name("away").rename(scratch)
        aged_file(scratch / "third")
        await eventually(lambda: not (scratch / "third").exists())
        sweeping.cancel()
        await asyncio.wait([sweeping])


async def test_bytes_of_which_nobody_knows_what_they_are_stay(
    settings: CloudSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(settings) as node:
        folder = without_row(settings, a_video(1))
        (folder / "original").write_bytes(FILM + b"more")
        aged(folder)
        await sweep(node)
        assert (folder / "original").exists()
    assert "a video that nobody knows" in caplog.text


async def test_a_video_whose_bytes_are_gone_is_told_of(
    settings: CloudSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(settings) as node:
        await store(node, a_video(1), a_video(2))
        node.store.original(a_video(1).owner_id, a_video(1).id).unlink()
        await sweep(node)
    (told,) = [record for record in caplog.records if record.message == "videos whose bytes are gone"]
    assert getattr(told, "ids") == [a_video(1).id]  # noqa: B009


async def test_keys_are_kept_for_a_day_and_claims_as_long_as_their_upload(settings: CloudSettings) -> None:
    async with opened(settings) as node:
        async with node.database.transaction() as transaction:
            for name in ("fresh", "stale"):
                await node.keys.keep(transaction, name, "", a_video())
                await transaction.execute("INSERT INTO uploads VALUES (?, ?, '')", (name, name))
            expired = int(time.time()) - KEPT_S
            await transaction.execute("UPDATE idempotency_keys SET added_at = ? WHERE key = 'stale'", (expired,))
        node.claims.add("fresh")
        assert await node.keys.find("stale") is None
        await sweep(node)
        assert [row["key"] for row in await node.database.fetch("SELECT key FROM idempotency_keys")] == ["fresh"]
        assert [row["id"] for row in await node.database.fetch("SELECT id FROM uploads")] == ["fresh"]
