"""A video's captions on the disk, `captions.{language}.vtt` in its folder, and the rows that list them.

The files are the truth: one is there before its row, and gone before it. At every start the rows are made to fit.
"""

import asyncio
import os
from contextlib import suppress
from pathlib import Path

from cloud_service.captions.languages import canonical
from cloud_service.db import Database, Transaction
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore, sync_folder


def path_of(store: VideoStore, video: StoredVideo, language: str) -> Path:
    return store.folder(video) / f"captions.{language}.vtt"


def beside(place: Path) -> Path:
    """A name for what is to be moved there."""
    return place.with_name(f"{place.name}.{os.urandom(8).hex()}.partial")


def write(partial: Path, content: bytes) -> None:
    """Synced, so that it has only to be renamed. Raises FileNotFoundError when the video is gone."""
    with partial.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def move_into_place(partial: Path, place: Path) -> None:
    """Durable when this returns. Raises FileNotFoundError when the video is gone.

    What takes the place of other captions is younger by a second at least: so clients tell them apart (RFC 9110 8.8.1).
    """
    with suppress(FileNotFoundError):
        replaced_at = int(place.stat().st_mtime)
        if partial.stat().st_mtime < replaced_at + 1:
            os.utime(partial, (replaced_at + 1, replaced_at + 1))
    partial.rename(place)
    sync_folder(place.parent)


def remove(place: Path) -> None:
    """Nothing to remove is no error."""
    with suppress(FileNotFoundError):
        place.unlink()
        sync_folder(place.parent)


async def languages_of(database: Database, video_id: str) -> list[str]:
    wanted = "SELECT language FROM captions WHERE video_id = ? ORDER BY language"
    return [row["language"] for row in await database.fetch(wanted, (video_id,))]


async def list_one(transaction: Transaction, video_id: str, language: str, size: int, changed_at: int) -> None:
    await transaction.execute(
        "INSERT OR REPLACE INTO captions (video_id, language, size, changed_at) VALUES (?, ?, ?, ?)",
        (video_id, language, size, changed_at),
    )


async def forget_one(transaction: Transaction, video_id: str, language: str) -> bool:
    """Whether it was listed."""
    gone = "DELETE FROM captions WHERE video_id = ? AND language = ?"
    return bool(await transaction.execute(gone, (video_id, language)))


async def list_as_on_disk(database: Database, store: VideoStore, catalogue: Catalogue) -> None:
    """Whatever a crash cut short, or a lost database has forgotten."""
    on_disk = await asyncio.to_thread(_on_disk, store, catalogue)
    rows = await database.fetch("SELECT video_id, language, size FROM captions")
    listed = {(row["video_id"], row["language"], row["size"]) for row in rows}
    if on_disk.keys() == listed:
        return
    async with database.transaction(durable=True) as transaction:
        for video_id, language, _ in listed - on_disk.keys():
            await forget_one(transaction, video_id, language)
        for (video_id, language, size), changed_at in on_disk.items():
            await list_one(transaction, video_id, language, size, changed_at)


def _on_disk(store: VideoStore, catalogue: Catalogue) -> dict[tuple[str, str, int], int]:
    """With when each was changed, in Unix seconds. What was half written is removed."""
    found: dict[tuple[str, str, int], int] = {}
    for video in catalogue:
        folder = store.folder(video)
        for partial in folder.glob("captions.*.partial"):
            partial.unlink()
        for path in folder.glob("captions.*.vtt"):
            language = path.name.removeprefix("captions.").removesuffix(".vtt")
            if canonical(language) == language:
                state = path.stat()
                found[video.id, language, state.st_size] = int(state.st_mtime)
    return found
