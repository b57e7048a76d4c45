"""`toptank worker`: takes one job after the other and works on it, as long as the job is there and its own."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from cloud_service.clock import uptime
from cloud_service.db import FILE, Database, OtherSchema, Transaction, is_locked
from cloud_service.processing import queue
from cloud_service.processing.attempt import Attempt
from cloud_service.processing.failures import MachineFails, NoRoom
from cloud_service.processing.ffmpeg import FfmpegFailed
from cloud_service.processing.queue import Job, Standing
from cloud_service.processing.results import JobGone, Results
from cloud_service.processing.source import CannotProcess, InspectionFailed
from cloud_service.processing.sweep import remove_attempt, sweep
from cloud_service.settings import WorkerSettings
from cloud_service.videos.store import VideoStore, is_full

log = logging.getLogger(__name__)

IDLE_S, LOCKED_S, BEAT_S, RETRY_S = 0.5, 0.1, 1.0, 2.0
SWEEP_EVERY_S = 600.0
LONGER_FOR_ROOM, LONGEST_PAUSE_S = 3, 600.0
"""How many times as long as a failed job one waits at first that found the disk full, and how long at last."""
NO_ROOM = "There is no room on the disk."
NOT_NOW = "Videos cannot be processed at the moment."
INTERRUPTED = "The processing was interrupted again and again, perhaps by this very video."
UNKNOWN = "The video could not be processed."


class DatabaseGone(Exception):
    """The file was set aside or deleted: its rows are nobody's any more."""


async def work(settings: WorkerSettings) -> None:
    """Until cancelled, over as many databases as the node makes itself."""
    while True:
        database = await _joined(settings)
        try:
            await Worker(settings, database).run()
        except DatabaseGone:
            log.warning("the database was replaced")
        except Exception:
            log.exception("the worker starts again")
            await asyncio.sleep(RETRY_S)
        finally:
            await asyncio.shield(database.close())


async def _joined(settings: WorkerSettings) -> Database:
    """As soon as the node has made it."""
    told = ""
    while True:
        _show_life(settings)
        try:
            return await Database.join(settings.folder / FILE)
        except (sqlite3.Error, OSError, OtherSchema) as error:
            if told != str(error):
                log.info("waiting for the node's database", extra={"reason": str(error)})
            told = str(error)
        await asyncio.sleep(IDLE_S)


def _show_life(settings: WorkerSettings) -> None:
    if settings.worker_alive_file:
        settings.worker_alive_file.touch()


class Worker:
    def __init__(self, settings: WorkerSettings, database: Database) -> None:
        self._settings, self._database = settings, database
        self._store = VideoStore(settings.media)

    async def run(self) -> None:
        """Until cancelled. Raises DatabaseGone, sqlite3.Error, OSError."""
        next_sweep = 0.0
        while True:
            _show_life(self._settings)
            if uptime() >= next_sweep:
                await self._sweep()
                next_sweep = uptime() + SWEEP_EVERY_S
            self._check_database()
            if not await queue.is_waiting(self._database):
                await asyncio.sleep(IDLE_S)
                continue
            await self._work_on_next()

    async def _sweep(self) -> None:
        """What comes of it is no reason to take no jobs. Raises DatabaseGone."""
        try:
            await sweep(self._database, self.writing, self._store)
        except DatabaseGone:
            raise
        except Exception:
            log.exception("not everything was swept")

    def _check_database(self) -> None:
        """Raises DatabaseGone."""
        if self._database.broken.is_set() or not self._database.is_there():
            raise DatabaseGone

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[Transaction]:
        """However long somebody else holds the lock. Raises DatabaseGone."""
        async with AsyncExitStack() as stack:
            yield await self._begun(stack)

    async def _begun(self, stack: AsyncExitStack) -> Transaction:
        while True:
            self._check_database()
            try:
                return await stack.enter_async_context(self._database.transaction(durable=True))
            except sqlite3.OperationalError as error:
                if not is_locked(error):
                    raise
                log.warning("the database is locked")
            _show_life(self._settings)
            await asyncio.sleep(LOCKED_S)

    async def _work_on_next(self) -> None:
        job, standing = None, Standing()
        try:
            async with self.writing() as transaction:
                if job := await queue.take(transaction, self._settings.processing_lease_s):
                    standing = await queue.standing_before(transaction, job)
        except asyncio.CancelledError:  # it may have been committed all the same
            if job:
                await self._give_back(job, standing, counted=False)
            raise
        if job:
            await self._work_on(job, standing)

    async def _work_on(self, job: Job, standing: Standing) -> None:
        told = {"video_id": job.video_id, "attempt": job.attempt}
        log.info("job taken", extra=told)
        results = Results(self.writing, self._store, job)
        attempt = Attempt(job, self._settings, self._store, results, standing)
        try:
            if job.attempt > queue.ATTEMPTS:
                await results.fail(standing, INTERRUPTED)
                return
            error = await self._tried(job, attempt)
            if attempt.is_finished:
                log.info("job done", extra=told)
            elif error is None:
                log.info("others come first", extra=told)
                await self._give_back(job, standing, counted=False)
            else:
                await self._conclude(job, attempt, results, error)
        except JobGone:
            log.info("job dropped", extra=told)
        except asyncio.CancelledError:
            attempt.came_to_no_end("stopped", "The worker was stopped.")
            await self._give_back(job, standing, counted=False)
            raise

    async def _tried(self, job: Job, attempt: Attempt) -> BaseException | None:
        """What went wrong, if anything did. Nothing runs any more and nothing lies about when this returns."""
        trying = asyncio.ensure_future(attempt.run())
        held_until = uptime() + self._settings.processing_lease_s
        try:
            while not (await asyncio.wait([trying], timeout=BEAT_S))[0]:
                held_until = await self._keep(job, attempt.standing, held_until)
                attempt.check_room()
            error = trying.exception()
        except (JobGone, MachineFails, OSError) as gone:
            error = gone
        finally:
            trying.cancel()
            await asyncio.wait([trying])
            await asyncio.to_thread(remove_attempt, attempt.folder)
        return None if attempt.is_finished else error

    async def _keep(self, job: Job, standing: Standing, held_until: float) -> float:
        """Until when the lease is ours now. Raises JobGone, MachineFails, DatabaseGone."""
        _show_life(self._settings)
        self._check_database()
        until = uptime() + self._settings.processing_lease_s
        try:
            async with self._database.transaction() as transaction:
                if await queue.keep(transaction, job, standing, self._settings.processing_lease_s):
                    return until
            raise JobGone
        except sqlite3.OperationalError as error:
            log.warning("the lease could not be kept", extra={"reason": str(error)})
            if uptime() < held_until - BEAT_S:  # soon it may be another's, and two would be at it
                return held_until
            raise MachineFails("the lease could not be kept") from None

    async def _conclude(self, job: Job, attempt: Attempt, results: Results, error: BaseException) -> None:
        """Tried again, waiting or failed. Raises JobGone."""
        if isinstance(error, (JobGone, DatabaseGone)):
            raise error
        told = {"video_id": job.video_id, "attempt": job.attempt, "detail": getattr(error, "detail", "")}
        if waits_for := _not_the_videos_fault(error):
            log.error("a job waits", extra=told | {"reason": waits_for, "detail": str(error)})
            pause_s = self._pause_s(attempt.standing.stopped_for(waits_for))
            attempt.came_to_no_end("stopped", waits_for)
            await self._give_back(job, attempt.standing, after_s=pause_s, counted=False)
            return
        is_known = isinstance(error, (CannotProcess, InspectionFailed, FfmpegFailed))
        reason = str(error) if is_known else UNKNOWN
        log.error("job failed", extra=told | {"reason": reason}, exc_info=None if is_known else error)
        attempt.came_to_no_end("failed", reason)
        if isinstance(error, CannotProcess) or job.is_last:
            await results.fail(attempt.standing, reason)
        else:
            await self._give_back(
                job, attempt.standing, after_s=self._settings.processing_retry_s * 2 ** (job.attempt - 1)
            )

    def _pause_s(self, waited_before: int) -> float:
        """Longer each time: nobody knows how long it lasts."""
        first_s = LONGER_FOR_ROOM * self._settings.processing_retry_s
        return float(min(first_s * 2**waited_before, max(first_s, LONGEST_PAUSE_S)))

    async def _give_back(self, job: Job, standing: Standing, *, after_s: float = 0, counted: bool = True) -> None:
        async with self.writing() as transaction:
            await queue.give_back(transaction, job, standing, after_s=after_s, counted=counted)


def _not_the_videos_fault(error: BaseException) -> str:
    """What the job has to wait for, for a teacher to read; '' where the video may be to blame."""
    if isinstance(error, NoRoom) or (isinstance(error, OSError) and is_full(error)):
        return NO_ROOM
    if isinstance(error, FileNotFoundError):  # its files were deleted by hand
        return ""
    return NOT_NOW if isinstance(error, (MachineFails, OSError, sqlite3.Error)) else ""
