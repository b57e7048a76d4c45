"""The media folder: `videos/{owner}/{video}/original` for good, `scratch/{upload}` on the way there."""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from cloud_service.videos.models import StoredVideo


class VideoStore:
    def __init__(self, folder: Path) -> None:
        self._videos = folder / "videos"
        self._scratch = folder / "scratch"
        self._videos.mkdir(parents=True, exist_ok=True)
        self._scratch.mkdir(parents=True, exist_ok=True)

    def scratch(self, upload_id: str) -> Path:
        return self._scratch / upload_id

    def original(self, owner_id: str, video_id: str) -> Path:
        return self._videos / owner_id / video_id / "original"

    def path(self, video: StoredVideo) -> str:
        return f"{self._videos}/{video.owner_id}/{video.id}/original"

    def keep(self, scratch: Path, owner_id: str, video_id: str) -> None:
        """Move a finished, synced upload to its place; durable when this returns."""
        place = self.original(owner_id, video_id)
        place.parent.mkdir(parents=True)
        scratch.rename(place)
        for folder in (place.parent, place.parent.parent, self._videos):
            _sync_folder(folder)

    def remove(self, owner_id: str, video_id: str) -> None:
        """Nothing to remove is no error: a deletion may be repeated."""
        shutil.rmtree(self._videos / owner_id / video_id, ignore_errors=True)

    def sweep(self, known: Iterable[StoredVideo]) -> list[str]:
        """Remove what no row knows: unfinished uploads, and videos whose row was never committed. Says what went."""
        kept = {(video.owner_id, video.id) for video in known}
        gone = []
        for leftover in self._scratch.iterdir():
            leftover.unlink()
            gone.append(leftover.name)
        for video in self._videos.glob("*/*/"):
            if (video.parent.name, video.name) not in kept:
                shutil.rmtree(video)
                gone.append(video.name)
        return gone

    def bytes_free(self) -> int:
        return shutil.disk_usage(self._videos).free


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
