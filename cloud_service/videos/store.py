"""The media folder: `videos/{owner}/{video}/original` for good, `scratch/{upload}` on the way there.

Beside each original lies `video.json`, its row once more: what a node whose database is lost begins again from.
"""

import json
import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from cloud_service.videos.models import StoredVideo

log = logging.getLogger(__name__)

ORIGINAL, ROW = "original", "video.json"


class VideoStore:
    def __init__(self, folder: Path) -> None:
        self._videos = folder / "videos"
        self._scratch = folder / "scratch"
        self._videos.mkdir(parents=True, exist_ok=True)
        self._scratch.mkdir(parents=True, exist_ok=True)

    def scratch(self, upload_id: str) -> Path:
        return self._scratch / upload_id

    def original(self, owner_id: str, video_id: str) -> Path:
        return self._videos / owner_id / video_id / ORIGINAL

    def path(self, video: StoredVideo) -> str:
        return f"{self._videos}/{video.owner_id}/{video.id}/original"

    def keep(self, scratch: Path, video: StoredVideo) -> None:
        """Move a finished, synced upload to its place; durable when this returns."""
        place = self.original(video.owner_id, video.id)
        place.parent.mkdir(parents=True)
        _write_row(place.with_name(ROW), video)
        scratch.rename(place)
        for folder in (place.parent, place.parent.parent, self._videos):
            _sync_folder(folder)

    def remove(self, owner_id: str, video_id: str) -> None:
        """Nothing to remove is no error: a deletion may be repeated."""
        shutil.rmtree(self._videos / owner_id / video_id, ignore_errors=True)

    def add_missing_rows(self, known: Iterable[StoredVideo]) -> None:
        """For videos from before there were any."""
        for video in known:
            row = self.original(video.owner_id, video.id).with_name(ROW)
            if row.parent.is_dir() and not row.exists():
                _write_row(row, video)

    def read_rows(self) -> list[StoredVideo]:
        """The videos that are here in full."""
        read = [_read_row(folder / ROW) for folder in self._videos.glob("*/*/")]
        return [video for video in read if video and _has_bytes(self.original(video.owner_id, video.id), video.size)]

    def sweep_scratch(self) -> list[str]:
        """Remove unfinished uploads. Says what went."""
        gone = []
        for leftover in self._scratch.iterdir():
            leftover.unlink()
            gone.append(leftover.name)
        return gone

    def sweep(self, known: Iterable[StoredVideo]) -> list[str]:
        """Remove what no row knows: unfinished uploads, and videos whose row was never committed. Says what went.

        Bytes that do not fit a readable `video.json` are no leftover of an upload, which writes that first: they are
        kept, for somebody to look at. Raises OSError when the disk cannot be read.
        """
        kept = {(video.owner_id, video.id) for video in known}
        gone = self.sweep_scratch()
        for video in self._videos.glob("*/*/"):
            if (video.parent.name, video.name) in kept:
                continue
            row = _read_row(video / ROW)
            if (video / ORIGINAL).exists() and not (row and _has_bytes(video / ORIGINAL, row.size)):
                log.error("a video that nobody knows", extra={"folder": str(video)})
                continue
            shutil.rmtree(video)
            gone.append(video.name)
        return gone

    def capacity(self) -> tuple[int, int]:
        """Bytes of the disk in all, and those that are free."""
        usage = shutil.disk_usage(self._videos)
        return usage.total, usage.free


def _read_row(path: Path) -> StoredVideo | None:
    """None for one that is not there or makes no sense. Raises OSError when that cannot be seen."""
    try:
        return StoredVideo(**json.loads(path.read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def _has_bytes(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _write_row(path: Path, video: StoredVideo) -> None:
    """Whole or not at all."""
    fields = {name: value for name, value in asdict(video).items() if name != "etag"}
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        json.dump(fields, file)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
