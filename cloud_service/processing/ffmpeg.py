"""Running ffmpeg: confined, watched, ended when it does not get on, and never longer-lived than whoever runs it."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import imageio_ffmpeg

from cloud_service.media.confined import FAILED, Limits, launching
from cloud_service.processing.failures import MachineFails, NoRoom
from cloud_service.videos.store import is_full

PROGRAM = "FFMPEG_PATH"
GLOBAL = ("-hide_banner", "-nostdin", "-y", "-loglevel", "level+warning", "-nostats", "-stats_period", "0.5")
SAID_BYTES = 256 * 1024
"""How much of the end of what ffmpeg says is kept."""
DETAIL_LINES = 5
LOOK_EVERY_S = 0.5
PROBE_BYTES = 2**20
NO_MEMORY = "Cannot allocate memory"
"""FFmpeg says so, may go on all the same, and leaves pictures out."""
SHORT_OF_MEMORY = (NO_MEMORY, "malloc of size")
"""What it, and x264 in it, say before they fail for want of memory."""
NO_THREADS = "Resource temporarily unavailable"
"""There is no memory for one more, or there may be no more of them (a container's `pids` limit): it cannot tell."""
NOTABLE_BYTES = 64 * 1024
"""Less read and written than this is no sign of life: ffmpeg also writes when it only says that it waits."""


@dataclass(frozen=True, slots=True)
class Progress:
    """`seconds` of output made so far; `speed` in seconds of video a second."""

    seconds: float
    speed: float


class FfmpegFailed(Exception):
    """Its text is for a teacher to read; `detail` is ffmpeg's last words, for the log."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


class Starved(FfmpegFailed):
    """It got too little memory, or too few threads: that is no word about what it read."""


@dataclass(frozen=True, slots=True)
class Patience:
    """A run ends after `stalled_s` without getting on, and after `in_all_s` in any case."""

    stalled_s: float
    in_all_s: float


def program() -> Path:
    """The operator's own ffmpeg, else the one that came with the packages."""
    return Path(os.environ.get(PROGRAM) or imageio_ffmpeg.get_ffmpeg_exe()).absolute()


class Ffmpeg:
    """Runs one ffmpeg after the other. `limits` bound each, its output files included."""

    def __init__(self, limits: Limits, patience: Patience) -> None:
        self._limits, self._patience = limits, patience
        self._program = program()

    async def run(
        self,
        arguments: Sequence[str],
        *,
        reads: Sequence[Path],
        writes: Path,
        on_progress: Callable[[Progress], None] = lambda _: None,
    ) -> str:
        """What it said on standard error, at most the last 256 KiB of it.

        `arguments` are what follows ffmpeg's name, without options about its own output; of all files it sees only
        `reads`, and what is in the folder `writes`. Raises FfmpegFailed, MachineFails. Cancelled, it is gone on return.
        """
        command = launching(
            self._program, *GLOBAL, "-progress", "pipe:1", *arguments, limits=self._limits, reads=reads, writes=[writes]
        )
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={},
            start_new_session=True,
        )
        running = _Running(process, on_progress)
        try:
            reason = await running.to_its_end(self._patience)
        finally:
            await running.end()
        if process.returncode != 0 or reason or NO_MEMORY in running.said:
            await asyncio.to_thread(check_takes_files, writes)  # what ffmpeg says of that, a video can make it say
            self._judge(process.returncode, reason, running.said)
        return running.said

    def _judge(self, code: int | None, ended_for: str | None, said: str) -> NoReturn:
        """Raises what became of one that has failed."""
        last = "\n".join(said.strip().splitlines()[-DETAIL_LINES:])
        if code == FAILED and said.startswith("not started"):
            raise MachineFails(f"ffmpeg was {last}")
        if ended_for:
            raise FfmpegFailed(ended_for, last)
        if code == -signal.SIGXFSZ:
            raise FfmpegFailed("What was made of the video grew beyond all measure.", last)
        if code is not None and code < 0:
            raise FfmpegFailed("The conversion was ended from outside.", f"signal {-code}\n{last}")
        if any(words in said for words in SHORT_OF_MEMORY):
            raise Starved("The video takes too much memory to convert.", last)
        if NO_THREADS in said:
            raise Starved("The video could not be converted.", last)
        raise FfmpegFailed("The video could not be converted.", last)


def check_takes_files(folder: Path) -> None:
    """By writing one there: what a disk has free tells nothing of quotas. Raises NoRoom, MachineFails."""
    probe = folder / "probe"
    try:
        try:
            probe.write_bytes(bytes(PROBE_BYTES))
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise (NoRoom if is_full(error) else MachineFails)(f"{folder}: {error.strerror}") from None


class _Running:
    """One run, and when it was last seen to get on."""

    def __init__(self, process: asyncio.subprocess.Process, on_progress: Callable[[Progress], None]) -> None:
        self._process, self._on_progress = process, on_progress
        self._tail = bytearray()
        self._received = self._moved_bytes = 0
        self._seconds = 0.0
        self._position: tuple[str, ...] = ()
        self._got_on = self._started = time.monotonic()
        self._readers = [asyncio.ensure_future(self._read_progress()), asyncio.ensure_future(self._read_said())]

    @property
    def said(self) -> str:
        return self._tail.decode(errors="replace")

    async def to_its_end(self, patience: Patience) -> str | None:
        """Why it was ended before, for a teacher to read; None when it ended by itself."""
        ended = asyncio.ensure_future(self._process.wait())
        try:
            while not (await asyncio.wait([ended], timeout=LOOK_EVERY_S))[0]:
                self._look_for_life()
                if time.monotonic() - self._got_on > patience.stalled_s:
                    return "The conversion did not get on."
                if time.monotonic() - self._started > patience.in_all_s:
                    return "The video takes too long to convert."
        finally:
            ended.cancel()
        await asyncio.wait(self._readers)
        return None

    async def end(self) -> None:
        """Also when it has ended already."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.shield(self._process.wait())
        await asyncio.wait(self._readers)

    async def _read_progress(self) -> None:
        """Blocks of `key=value` lines, each ended by `progress=`."""
        assert self._process.stdout is not None
        block: dict[str, str] = {}
        async for line in self._process.stdout:
            self._received += len(line)
            key, _, value = line.decode(errors="replace").strip().partition("=")
            block[key] = value
            if key == "progress":
                self._take_in(block)
                block = {}

    def _take_in(self, block: dict[str, str]) -> None:
        position = tuple(block.get(key, "") for key in ("frame", "out_time_us", "total_size"))
        if position != self._position:
            self._position, self._got_on = position, time.monotonic()
        # It may not know the time for a moment after it has told some, while only one stream has packets.
        self._seconds = max(self._seconds, _number(block.get("out_time_us", "")) / 1e6)
        elapsed = max(0.001, time.monotonic() - self._started)
        speed = _number(block.get("speed", "").rstrip("x")) or self._seconds / elapsed
        self._on_progress(Progress(self._seconds, speed))

    async def _read_said(self) -> None:
        assert self._process.stderr is not None
        while chunk := await self._process.stderr.read(64 * 1024):
            self._received += len(chunk)
            self._tail += chunk
            del self._tail[:-SAID_BYTES]

    def _look_for_life(self) -> None:
        """What it reads and writes tells, where it says nothing: at the end it may move all it made by some bytes."""
        with suppress(OSError, ValueError, IndexError):
            counts = Path(f"/proc/{self._process.pid}/io").read_text().split()
            moved = int(counts[1]) + int(counts[3]) - self._received  # rchar, wchar
            if moved > self._moved_bytes + NOTABLE_BYTES:
                self._moved_bytes, self._got_on = moved, time.monotonic()


def _number(text: str) -> float:
    """0 for one that is not known (N/A)."""
    try:
        return float(text)
    except ValueError:
        return 0.0
