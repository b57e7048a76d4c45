"""One attempt at a job: step after step, what each made put in its place at once."""

import asyncio
import logging
import os
import shutil
import time
from pathlib import Path

from cloud_service.db import to_its_end
from cloud_service.media.confined import Limits
from cloud_service.processing.failures import NoRoom
from cloud_service.processing.ffmpeg import Ffmpeg, FfmpegFailed, Patience
from cloud_service.processing.queue import Job, Result, Standing, StepDone
from cloud_service.processing.results import Results
from cloud_service.processing.source import Source, inspect
from cloud_service.processing.steps import MAKE_POSTER, MAKE_STORYBOARD, Step, carry_out, plan
from cloud_service.processing.sweep import is_whole
from cloud_service.settings import WorkerSettings
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import POSTER, STORYBOARD, STORYBOARD_INDEX, VideoStore

log = logging.getLogger(__name__)

SMALLEST_BYTES, TIMES_ORIGINAL, BYTES_PER_S = 256 * 2**20, 4, 10**6
"""What may be made of a video is at most their sum: a bomb is more, and nothing that is meant is."""
LOG_ENTRIES = 100
"""How much is remembered of what was done about a video: it may wait for room for days."""

STILLS = {MAKE_POSTER: (POSTER,), MAKE_STORYBOARD: (STORYBOARD, STORYBOARD_INDEX)}
"""Nice to have: a video is ready without them."""


class Attempt:
    """Works in a folder of its own, which whoever runs it removes. After a rendition it may give way to others."""

    def __init__(
        self, job: Job, settings: WorkerSettings, store: VideoStore, results: Results, standing: Standing
    ) -> None:
        self._job, self._settings, self._store, self._results = job, settings, store, results
        self.standing = standing
        self.is_finished = self.gives_way = False
        self._began = time.time()
        self.folder = store.work / job.video_id / job.lease

    async def run(self) -> None:
        """Raises CannotProcess, InspectionFailed, FfmpegFailed, MachineFails, JobGone, OSError."""
        self._begin("metadata")
        video = await self._results.load()
        await to_its_end(asyncio.to_thread(self._begin_anew))  # nobody removes the folder before it is made
        original = self._store.original(video.owner_id, video.id)
        source = await self._inspect(original, video)
        video = await self._results.found(source)
        ffmpeg = Ffmpeg(self._limits(video.size, source.duration_s), self._patience(source.duration_s))
        steps = plan(source)
        whole, done = sum(step.weight for step in steps), 0.0
        for step in steps:
            if self._is_there(video, step):
                self._begin(step.name)
                self._log(step.name, "was_there")
            else:
                video = await self._carry_out(step, source, original, ffmpeg, video, (done, whole))
                if step.target and step is not steps[-1] and await self._results.hold_up_others():
                    self.gives_way = True
                    return
            done += step.weight
            self._show(done / whole, 0)
        self.standing.step, self.standing.percent, self.standing.speed = "", 100, 0.0
        await self._results.finish(self.standing)
        self.is_finished = True

    def _begin_anew(self) -> None:
        """Whoever was at the video before is not any more."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def check_room(self, needed: int = 0) -> None:
        """For so many bytes. Raises NoRoom. What is left is the database's, or an upload's that was promised it."""
        _, free = self._store.capacity()
        if free < needed + self._settings.processing_reserve_bytes:
            raise NoRoom(f"{free} bytes are free")

    def came_to_no_end(self, result: Result, reason: str) -> None:
        """For the log: the step that was under way, if one was."""
        if self.standing.step:
            self._log(self.standing.step, result, reason)
            self.standing.step = ""

    async def _inspect(self, original: Path, video: StoredVideo) -> Source:
        source = await inspect(original, video.media_type)
        self._log("metadata", "made")
        return source

    async def _carry_out(
        self,
        step: Step,
        source: Source,
        original: Path,
        ffmpeg: Ffmpeg,
        video: StoredVideo,
        share: tuple[float, float],
    ) -> StoredVideo:
        done, whole = share

        def on_progress(fraction: float, speed: float) -> None:
            self._show((done + step.weight * min(1.0, max(0.0, fraction))) / whole, speed)

        self._begin(step.name)
        self.check_room(estimated_bytes(step, video.size, source.duration_s))
        try:
            made = await carry_out(step, source, original, self.folder, ffmpeg, video.renditions, on_progress)
        except FfmpegFailed as error:
            if step.target:
                raise
            log.warning("a still was not made", extra={"video_id": video.id, "step": step.name, "detail": error.detail})
            self._log(step.name, "failed", str(error))
            return video
        video = await self._results.add(made.rendition, self.folder, made.files)
        self._log(step.name, "made")
        return video

    def _show(self, share: float, speed: float) -> None:
        """Never less than an earlier attempt did."""
        self.standing.percent = max(self.standing.percent, min(99, int(100 * share)))
        self.standing.speed = round(speed, 2)

    def _is_there(self, video: StoredVideo, step: Step) -> bool:
        """An earlier attempt came this far."""
        if not step.target:
            return all((self._store.folder(video) / name).is_file() for name in STILLS[step.name])
        made = video.rendition(step.name)
        return made is not None and is_whole(self._store.folder(video), made)

    def _begin(self, step: str) -> None:
        self._began = time.time()
        self.standing.step, self.standing.speed = step, 0.0

    def _log(self, step: str, result: Result, reason: str = "") -> None:
        seconds = round(time.time() - self._began, 2)
        done = StepDone(self._job.attempt, step, int(self._began), seconds, self.standing.speed, result, reason)
        self.standing.log.append(done)
        del self.standing.log[:-LOG_ENTRIES]

    def _patience(self, duration_s: float) -> Patience:
        told = self._settings
        in_all_s = max(told.processing_at_most_s, told.processing_at_most_durations * duration_s)
        return Patience(told.processing_stalled_s, in_all_s)

    def _limits(self, size: int, duration_s: float) -> Limits:
        in_all_s = self._patience(duration_s).in_all_s
        return Limits(
            memory_bytes=self._settings.processing_memory_bytes,
            cpu_s=int(in_all_s * (os.cpu_count() or 1)) + 1,
            file_bytes=SMALLEST_BYTES + TIMES_ORIGINAL * size + int(BYTES_PER_S * duration_s),
        )


def estimated_bytes(step: Step, original_bytes: int, duration_s: float) -> int:
    """At most, or nearly so. Stills are small."""
    if not step.target:
        return 0
    if step.target.copies_picture:
        return original_bytes
    return int((step.target.maxrate + step.target.rung.audio_bitrate) * duration_s / 8)
