"""Sending away a client that brings too little: nothing for a while, too little over a window, or not all in time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext

from cloud_service.access.permits import Permit, Reason
from cloud_service.settings import CloudSettings
from cloud_service.uploads.errors import ENDED_BY, NodeStopping, UploadStalled, UploadTooLong, UploadTooSlow
from shared.problems import AppError
from shared.serving import is_stopping

LOOK_EVERY_S = 1.0
FINISH_WITHIN_S = 2.0
"""How long an upload may go on once the process is to end."""


class Pace:
    """Only the time during which the client is waited for counts, except in the total: our own disk may be slow."""

    def __init__(self, settings: CloudSettings, now: Callable[[], float], broken: asyncio.Event) -> None:
        self._settings, self._now, self._broken = settings, now, broken
        self._began = now()
        self._waits_since: float | None = self._began
        self._counted_until = self._began
        self._waited_s = 0.0  # in this window, as are the bytes
        self._bytes = 0
        self._stops_at = float("inf")

    def arrived(self, size: int) -> None:
        """So many bytes, which are now being taken care of."""
        self._count_waiting()
        self._waits_since = None
        self._bytes += size

    def ready(self) -> None:
        """For more: from now on it is the client's time again."""
        self._waits_since = self._counted_until = self._now()

    def excuse(self, late_s: float) -> None:
        """This process was held up, and what has arrived meanwhile is still to be read."""
        if self._waits_since is not None:
            self._waits_since += late_s
            self._counted_until += late_s

    def _count_waiting(self) -> None:
        if self._waits_since is not None:
            now = self._now()
            self._waited_s += now - self._counted_until
            self._counted_until = now

    def _silent_s(self) -> float:
        return 0.0 if self._waits_since is None else self._now() - self._waits_since

    def verdict(self) -> AppError | None:
        """Why it has to end now, if it has."""
        settings, now = self._settings, self._now()
        if is_stopping():
            self._stops_at = min(self._stops_at, now + FINISH_WITHIN_S)
        if now >= self._stops_at or self._broken.is_set():
            return NodeStopping()
        if now - self._began >= settings.upload_deadline_s:
            return UploadTooLong(f"An upload may take {settings.upload_deadline_s:g} seconds.")
        if self._silent_s() >= settings.upload_idle_s:
            return UploadStalled(f"Nothing arrived for {settings.upload_idle_s:g} seconds.")
        self._count_waiting()
        return self._end_window() if self._waited_s >= settings.upload_rate_window_s else None

    def _end_window(self) -> AppError | None:
        least = self._settings.upload_min_bytes_per_s
        if self._bytes < least * self._waited_s:
            came = f"{self._bytes} bytes arrived within {self._waited_s:.0f} seconds"
            return UploadTooSlow(f"{came}; at least {least} a second are needed.")
        self._bytes, self._waited_s = 0, 0.0
        return None

    def look_again_in_s(self) -> float:
        """No later than the next verdict can be due."""
        settings, now = self._settings, self._now()
        due_s = (
            settings.upload_idle_s - self._silent_s(),
            settings.upload_rate_window_s - self._waited_s,
            settings.upload_deadline_s - (now - self._began),
            self._stops_at - now,
        )
        return min(LOOK_EVERY_S, max(0.01, min(due_s)))


@asynccontextmanager
async def paced(settings: CloudSettings, broken: asyncio.Event, permit: Permit | None = None) -> AsyncIterator[Pace]:
    """Raises UploadStalled, UploadTooSlow, UploadTooLong, NodeStopping out of whatever the block waits for; SignedOut,
    NotAllowedAnyMore as soon as the `permit` is good no more.

    Once the database is `broken` nothing comes of an upload any more.
    """
    loop = asyncio.get_running_loop()
    pace = Pace(settings, loop.time, broken)
    ended: AppError | None = None
    timer: asyncio.TimerHandle | None = None
    try:
        async with asyncio.timeout(None) as end:

            def give_up(error: AppError) -> None:
                nonlocal ended
                if ended is None:
                    ended = error
                    end.reschedule(loop.time())

            def look(due: float) -> None:
                nonlocal timer
                pace.excuse(max(0.0, loop.time() - due))
                if error := pace.verdict():
                    give_up(error)
                else:
                    due = loop.time() + pace.look_again_in_s()
                    timer = loop.call_at(due, look, due)

            def cut(reason: Reason) -> None:
                give_up(ENDED_BY[reason]())

            look(loop.time())
            try:
                with permit.stopping(cut) if permit else nullcontext():
                    yield pace
            finally:
                if timer:
                    timer.cancel()
    except TimeoutError:
        if ended is None:
            raise
        raise ended from None
