"""The media folder: `videos/{owner}/{video}/` for good, `scratch/{upload}` and `parts/{upload}` on the way there
(with `begun/{upload}.json`, its row once more), and `work/{video}/{attempt}/` for what is being made of it.

In a video's folder lie `original`, `video.json` (its row once more: what a node whose database is lost begins again
from), and what was made of it: `sd.mp4` and other renditions with a playlist each (`sd.m3u8`), `master.m3u8`,
`poster.jpg`, `storyboard.jpg` with `storyboard.vtt`, and `captions.{language}.vtt`.
"""

import errno
import logging
import os
import shutil
from collections.abc import Container, Iterable
from contextlib import suppress
from pathlib import Path

from cloud_service.videos.models import StoredVideo

log = logging.getLogger(__name__)

ORIGINAL, ROW, MASTER = "original", "video.json", "master.m3u8"
POSTER, STORYBOARD, STORYBOARD_INDEX = "poster.jpg", "storyboard.jpg", "storyboard.vtt"
GOING = "going-"
FOR_EVER = float("inf")


class VideoStore:
    def __init__(self, folder: Path) -> None:
        folder = folder.absolute()
        self._videos = folder / "videos"
        self._scratch = folder / "scratch"
        self._parts = folder / "parts"
        self._begun = folder / "begun"
        self.work = folder / "work"
        self._videos.mkdir(parents=True, exist_ok=True)
        self._scratch.mkdir(parents=True, exist_ok=True)
        self._parts.mkdir(parents=True, exist_ok=True)
        self._begun.mkdir(parents=True, exist_ok=True)

    def scratch(self, upload_id: str) -> Path:
        return self._scratch / upload_id

    def part(self, upload_id: str) -> Path:
        """What there is of an upload that can be resumed."""
        return self._parts / upload_id

    def begin_part(self, upload_id: str, row: bytes) -> None:
        """Empty; durable when this returns."""
        self.keep_begun(upload_id, row)
        self.part(upload_id).touch(mode=0o600, exist_ok=False)
        sync_folder(self._parts)

    def keep_begun(self, upload_id: str, row: bytes) -> None:
        """Unless it is there. What makes an upload is written once: how far it is, its part tells."""
        begun = self._begun / f"{upload_id}.json"
        if not begun.exists():
            _write(begun, row)
            sync_folder(self._begun)

    def read_begun(self) -> list[bytes]:
        """The rows of uploads that can be resumed."""
        return [path.read_bytes() for path in self._begun.glob("*.json")]

    def remove_part(self, upload_id: str) -> None:
        """Nothing to remove is no error."""
        self.part(upload_id).unlink(missing_ok=True)
        (self._begun / f"{upload_id}.json").unlink(missing_ok=True)

    def take_back(self, owner_id: str, upload_id: str) -> None:
        """To where it was before `keep`, from a place that no row knows. Nothing to take back is no error."""
        with suppress(FileNotFoundError):
            self.original(owner_id, upload_id).rename(self.part(upload_id))
            sync_folder(self._parts)
        self.remove(owner_id, upload_id)

    def original(self, owner_id: str, video_id: str) -> Path:
        return self._videos / owner_id / video_id / ORIGINAL

    def folder(self, video: StoredVideo) -> Path:
        return self._videos / video.owner_id / video.id

    def path(self, video: StoredVideo) -> str:
        return f"{self._videos}/{video.owner_id}/{video.id}/{ORIGINAL}"

    def keep(self, scratch: Path, video: StoredVideo) -> None:
        """Move a finished, synced upload to its place; durable when this returns. If it fails, all is as before."""
        place = self.original(video.owner_id, video.id)
        place.parent.mkdir(parents=True)
        try:
            _write_row(place.with_name(ROW), video)
            scratch.rename(place)
            for folder in (place.parent, place.parent.parent, self._videos):
                sync_folder(folder)
        except OSError:
            with suppress(FileNotFoundError):
                place.rename(scratch)
            shutil.rmtree(place.parent, ignore_errors=True)
            raise

    def remove(self, owner_id: str, video_id: str) -> None:
        """All at once: what a worker still adds meanwhile has nowhere to go. Nothing to remove is no error."""
        going = self._scratch / f"{GOING}{video_id}"
        with suppress(FileNotFoundError):
            (self._videos / owner_id / video_id).rename(going)
        shutil.rmtree(going, ignore_errors=True)

    def keep_row(self, video: StoredVideo) -> None:
        """The video has another state now. Raises FileNotFoundError for one that was deleted."""
        _write_row(self.folder(video) / ROW, video)

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

    def sweep_scratch(self, before: float = FOR_EVER, besides: Container[str] = ()) -> list[str]:
        """Remove unfinished uploads. Says what went."""
        gone = []
        for leftover in self._scratch.iterdir():
            if leftover.name.removeprefix(GOING) in besides or _changed_at(leftover) > before:
                continue
            if leftover.is_dir():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                leftover.unlink(missing_ok=True)
            gone.append(leftover.name)
        return gone

    def sweep(self, known: Iterable[StoredVideo], before: float = FOR_EVER, besides: Container[str] = ()) -> list[str]:
        """Remove what no row knows: unfinished uploads, and videos whose row was never committed. Says what went.

        While uploads are under way: what was not changed since `before` (Unix seconds), `besides` those.

        Bytes that do not fit a readable `video.json` are no leftover of an upload, which writes that first: they are
        kept, for somebody to look at. Raises OSError when the disk cannot be read.
        """
        kept = {(video.owner_id, video.id) for video in known}
        gone = self.sweep_scratch(before, besides)
        for video in self._videos.glob("*/*/"):
            if (video.parent.name, video.name) in kept or video.name in besides or _changed_at(video) > before:
                continue
            row = _read_row(video / ROW)
            if (video / ORIGINAL).exists() and not (row and _has_bytes(video / ORIGINAL, row.size)):
                log.error("a video that nobody knows", extra={"folder": str(video)})
                continue
            shutil.rmtree(video)
            gone.append(video.name)
        return gone

    def without_bytes(self, known: Iterable[StoredVideo]) -> list[StoredVideo]:
        """The videos whose original is not here in full."""
        return [video for video in known if not _has_bytes(self.original(video.owner_id, video.id), video.size)]

    def sweep_parts(self, known: Container[str]) -> list[str]:
        """Remove parts of no upload. Says what went."""
        gone = [part for part in self._parts.iterdir() if part.name not in known]
        for part in [*gone, *(begun for begun in self._begun.iterdir() if begun.stem not in known)]:
            part.unlink()
        return [part.name for part in gone]

    def capacity(self) -> tuple[int, int]:
        """Bytes of the disk in all, and those that are free."""
        usage = shutil.disk_usage(self._videos)
        return usage.total, usage.free


def is_full(error: OSError) -> bool:
    """Whether it was the disk that had no room, or its quota."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def _read_row(path: Path) -> StoredVideo | None:
    """None for one that is not there or makes no sense. Raises OSError when that cannot be seen."""
    try:
        return StoredVideo.from_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None


def _changed_at(path: Path) -> float:
    """Unix seconds; of what is gone meanwhile, that it was just now."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return FOR_EVER


def _has_bytes(path: Path, size: int) -> bool:
    return path.is_file() and path.stat().st_size == size


def _write_row(path: Path, video: StoredVideo) -> None:
    _write(path, video.to_json())


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all."""
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
