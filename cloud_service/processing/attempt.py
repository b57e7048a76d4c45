"""One attempt at a job: step after step, what each made put in its place at once."""

import asyncio
import os
import shutil
import time
from pathlib import Path

from cloud_service.processing.confined import Limits
from cloud_service.processing.ffmpeg import Ffmpeg, NoRoom, Patience
from cloud_service.processing.queue import Job, Result, Standing, StepDone
from cloud_service.processing.results import Results
from cloud_service.processing.source import Source, inspect
from cloud_service.processing.steps import Step, carry_out, plan
from cloud_service.processing.sweep import is_whole
from cloud_service.settings import WorkerSettings
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore

SMALLEST_BYTES, TIMES_ORIGINAL, BYTES_PER_S = 256 * 2**20, 4, 10**6
"""What may be made of a video is at most their sum: a bomb is more, and nothing that is meant is."""
LOG_ENTRIES = 100
"""How much is remembered of what was done about a video: it may wait for room for days."""


class Attempt:
    """Works in a folder of its own, which whoever runs it removes."""

    def __init__(
        self, job: Job, settings: WorkerSettings, store: VideoStore, results: Results, standing: Standing
    ) -> None:
        self._job, self._settings, self._store, self._results = job, settings, store, results
        self.standing = standing
        self.is_finished = False
        self._began = time.time()
        self.folder = store.work / job.video_id / job.lease

    async def run(self) -> None:
        """Raises CannotProcess, FfmpegFailed, NoRoom, JobGone, OSError."""
        video = await self._results.load()
        await asyncio.to_thread(self._begin_anew)
        original = self._store.original(video.owner_id, video.id)
        ffmpeg = Ffmpeg(self._limits(video), self._patience(video))
        source = await self._inspect(original, video)
        steps = plan(source)
        whole, done = sum(step.weight for step in steps), 0.0
        for step in steps:
            if self._is_there(video, step):
                self._begin(step.name)
                self._log(step.name, "was_there")
            else:
                video = await self._carry_out(step, source, original, ffmpeg, video, (done, whole))
            done += step.weight
        self.standing.step, self.standing.percent, self.standing.speed = "", 100, 0.0
        await self._results.finish(self.standing)
        self.is_finished = True

    def _begin_anew(self) -> None:
        """Whoever was at the video before is not any more."""
        shutil.rmtree(self.folder.parent, ignore_errors=True)
        self.folder.mkdir(parents=True)

    def check_room(self) -> None:
        """Raises NoRoom. What is left is the database's, or an upload's that has been promised it."""
        _, free = self._store.capacity()
        if free < self._settings.processing_reserve_bytes:
            raise NoRoom(f"{free} bytes are free")

    def came_to_no_end(self, result: Result, reason: str) -> None:
        """For the log: the step that was under way, if one was."""
        if self.standing.step:
            self._log(self.standing.step, result, reason)
            self.standing.step = ""

    async def _inspect(self, original: Path, video: StoredVideo) -> Source:
        self._begin("metadata")
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
            at = (done + step.weight * min(1.0, max(0.0, fraction))) / whole
            self.standing.percent, self.standing.speed = min(99, int(100 * at)), round(speed, 2)

        self.check_room()
        self._begin(step.name)
        on_progress(0, 0)
        made = await carry_out(step, source, original, self.folder, ffmpeg, video.renditions, on_progress)
        video = await self._results.add(made.rendition, self.folder, made.files)
        self._log(step.name, "made")
        return video

    def _is_there(self, video: StoredVideo, step: Step) -> bool:
        """An earlier attempt came this far."""
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

    def _patience(self, video: StoredVideo) -> Patience:
        told = self._settings
        in_all_s = max(told.processing_at_most_s, told.processing_at_most_durations * video.duration_s)
        return Patience(told.processing_stalled_s, in_all_s)

    def _limits(self, video: StoredVideo) -> Limits:
        in_all_s = self._patience(video).in_all_s
        return Limits(
            memory_bytes=self._settings.processing_memory_bytes,
            cpu_s=int(in_all_s * (os.cpu_count() or 1)) + 1,
            file_bytes=SMALLEST_BYTES + TIMES_ORIGINAL * video.size + int(BYTES_PER_S * video.duration_s),
        )
