"""Which bytes of a video's file are which seconds of it: by the index in a rendition, else in proportion."""

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cloud_service.playback.links import ORIGINAL
from cloud_service.playback.models import Playback
from cloud_service.playback.watched import Run
from cloud_service.processing.fragments import NotFragmented, Segment, read_fragmented
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from shared.intervals import merged

MOST = 256
"""Files whose index is in memory: 16 bytes for every 4 seconds of each."""


class Timeline:
    """`offsets` in bytes and `moments` in seconds belong together, both growing; between them it is in proportion."""

    def __init__(self, offsets: Sequence[int], moments: Sequence[float]) -> None:
        self._offsets, self._moments = array("q", offsets), array("d", moments)

    @classmethod
    def of_segments(cls, segments: Sequence[Segment]) -> "Timeline":
        """Their first is where the video begins."""
        last, begins_s = segments[-1], segments[0].starts_s
        offsets = [segment.offset for segment in segments]
        moments = [segment.starts_s - begins_s for segment in segments]
        return cls([*offsets, last.offset + last.size], [*moments, last.starts_s - begins_s + last.duration_s])

    def seconds(self, byte: int) -> float:
        place = bisect_right(self._offsets, byte) - 1
        if place < 0:
            return self._moments[0]
        if place == len(self._offsets) - 1:
            return self._moments[-1]
        before, after = self._offsets[place], self._offsets[place + 1]
        share = (byte - before) / (after - before)
        return self._moments[place] + share * (self._moments[place + 1] - self._moments[place])


class Timelines:
    def __init__(self, catalogue: Catalogue, store: VideoStore) -> None:
        self._catalogue, self._store = catalogue, store
        self._known: dict[tuple[str, str, int], Timeline] = {}

    def video(self, video_id: str) -> StoredVideo | None:
        """None once it is deleted."""
        return self._catalogue.find(video_id)

    async def take_in(self, playback: Playback) -> bool:
        """What was sent to it becomes seconds of the video; whether there was any news in that."""
        sent, playback.sent = playback.sent, []
        has_news = False
        for one in sent:
            if timeline := await self._of(playback.video_id, one.name):
                run = Run(timeline.seconds(one.start), timeline.seconds(one.stop), one.first_at, one.last_at)
                if run.from_s < run.to_s:
                    playback.watched = merged([*playback.watched, (run.from_s, run.to_s)])
                    playback.run = playback.run.then(run) if playback.run else run
                    has_news = True
        return has_news

    async def _of(self, video_id: str, name: str) -> Timeline | None:
        """None of a file that the video has no more."""
        video = self.video(video_id)
        if video is None:
            return None
        made = None if name == ORIGINAL else video.rendition(name.removesuffix(".mp4"))
        if made is None and name != ORIGINAL:
            return None
        size = made.size if made else video.size
        known = (video_id, name, size)
        if known not in self._known:
            path = self._store.folder(video) / name if made else None
            timeline = await asyncio.to_thread(_read, path, size, video.duration_s)
            while len(self._known) >= MOST:
                del self._known[next(iter(self._known))]
            self._known[known] = timeline
        return self._known[known]


def _read(path: Path | None, size: int, duration_s: float) -> Timeline:
    """In proportion where it has no index, or is gone by now: what was sent of it, was sent."""
    if path:
        with suppress(NotFragmented, OSError):
            return Timeline.of_segments(read_fragmented(path).segments)
    return Timeline([0, max(1, size)], [0.0, duration_s])
