"""What crashes and strangers' hands leave: files that no row knows go, renditions that are not there are made again."""

import asyncio
import logging
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from cloud_service.clock import boot, uptime
from cloud_service.db import Database, to_its_end
from cloud_service.processing.playlists import master_playlist
from cloud_service.processing.queue import enqueue
from cloud_service.processing.results import Writing, save
from cloud_service.videos.models import SELECT_VIDEOS, Rendition, StoredVideo
from cloud_service.videos.store import MASTER, ORIGINAL, POSTER, ROW, STORYBOARD, STORYBOARD_INDEX, VideoStore

log = logging.getLogger(__name__)

PARTIAL = ".partial"
CAPTIONS = "captions."
"""Files that begin so are looked after elsewhere."""
SETTLED_S = 60.0
"""A partial file that is younger may be somebody's who is just writing it."""
ROWS = f"{SELECT_VIDEOS} WHERE kind != 'file'"


async def sweep(database: Database, writing: Writing, store: VideoStore) -> None:
    """At the start of a worker, and by timer."""
    await _sweep_work(database, store.work)
    videos = [StoredVideo.from_row(dict(row)) for row in await database.fetch(ROWS)]
    for video_id in await asyncio.to_thread(_amiss, store, videos):
        try:
            await _put_right(writing, store, video_id)
        except OSError as error:
            log.error("a video's folder cannot be put right", extra={"video_id": video_id, "reason": str(error)})


async def _sweep_work(database: Database, work: Path) -> None:
    """Folders of attempts that nobody is at. Listed before the leases are read: a lease is older than its folder."""
    folders = await asyncio.to_thread(lambda: sorted(work.glob("*/*/")))
    running = "SELECT lease FROM jobs WHERE lease IS NOT NULL AND boot = ? AND leased_until > ?"
    leases = {row["lease"] for row in await database.fetch(running, (boot(), uptime()))}
    for folder in folders:
        if folder.name not in leases:
            await asyncio.to_thread(remove_attempt, folder)
    for empty in await asyncio.to_thread(lambda: sorted(work.glob("*/"))):
        with suppress(OSError):
            empty.rmdir()


def remove_attempt(folder: Path) -> None:
    """Its folder, and the video's around it unless another attempt is at work there."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):
        folder.parent.rmdir()


def _amiss(store: VideoStore, videos: Collection[StoredVideo]) -> list[str]:
    """Ids of videos whose folder and row do not agree, at first sight."""
    return [video.id for video in videos if _is_amiss(store, video)]


def _is_amiss(store: VideoStore, video: StoredVideo) -> bool:
    try:
        return bool(_unknown(store, video)) or len(_whole(store, video)) < len(video.renditions)
    except OSError as error:
        log.error("a video's folder cannot be looked into", extra={"video_id": video.id, "reason": str(error)})
        return False


def _unknown(store: VideoStore, video: StoredVideo) -> list[Path]:
    known = {ORIGINAL, ROW, POSTER, STORYBOARD, STORYBOARD_INDEX, *([MASTER] if video.renditions else [])}
    known |= {f"{made.name}.{ending}" for made in video.renditions for ending in ("mp4", "m3u8")}
    try:
        files = list(store.folder(video).iterdir())
    except FileNotFoundError:
        return []
    return [file for file in files if file.name not in known and not _is_looked_after(file)]


def _is_looked_after(file: Path) -> bool:
    if file.name.startswith(CAPTIONS):
        return True
    return file.suffix == PARTIAL and time.time() - file.stat().st_mtime < SETTLED_S


def _whole(store: VideoStore, video: StoredVideo) -> tuple[Rendition, ...]:
    return tuple(made for made in video.renditions if is_whole(store.folder(video), made))


def is_whole(folder: Path, made: Rendition) -> bool:
    """Whether its files are there as its row says."""
    try:
        return (folder / f"{made.name}.m3u8").is_file() and (folder / f"{made.name}.mp4").stat().st_size == made.size
    except FileNotFoundError:
        return False


async def _put_right(writing: Writing, store: VideoStore, video_id: str) -> None:
    """In one transaction, in which nobody adds files; what was half added when it began is added by now."""
    async with writing() as transaction:
        rows = await transaction.fetch(f"{ROWS} AND id = ?", (video_id,))
        if not rows or not store.folder(video := StoredVideo.from_row(dict(rows[0]))).is_dir():
            return
        whole = await asyncio.to_thread(_whole, store, video)
        if len(whole) < len(video.renditions):
            log.error("renditions are missing", extra={"video_id": video.id, "there": [made.name for made in whole]})
            video = replace(video, renditions=whole)
            await to_its_end(asyncio.to_thread(store.keep_row, video))
            await save(transaction, video)
            await enqueue(transaction, video)
        unknown = await asyncio.to_thread(_unknown, store, video)
        for file in unknown:
            await to_its_end(asyncio.to_thread(_remove, file))
        if unknown:
            log.warning("leftovers removed", extra={"video_id": video.id, "files": [file.name for file in unknown]})
        await to_its_end(asyncio.to_thread(_list_anew, store.folder(video), video))


def _remove(stray: Path) -> None:
    """Some storage systems put folders of their own everywhere."""
    if stray.is_dir() and not stray.is_symlink():
        shutil.rmtree(stray)
    else:
        stray.unlink(missing_ok=True)


def _list_anew(folder: Path, video: StoredVideo) -> None:
    """A master playlist of what there is, or none."""
    if not video.renditions:
        (folder / MASTER).unlink(missing_ok=True)
        return
    partial = folder / f"{MASTER}{PARTIAL}"
    partial.write_text(master_playlist(video.renditions, video.duration_s))
    partial.rename(folder / MASTER)
