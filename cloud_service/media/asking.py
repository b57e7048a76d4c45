"""Asking about a file a process that confines itself before it opens it (`confined`)."""

import asyncio
import json
import logging
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

log = logging.getLogger(__name__)

KEPT_S = 60.0
MOST_BYTES = 64 * 1024
"""Of what it writes: the file may have taken it over, and it is this process whose memory that would fill."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The `code` that it ended with, what it wrote as its `output`, and what it `said` on standard error.

    The code is negative for a signal, and None where there was more output than is read.
    """

    code: int | None
    output: bytes
    said: str


class Asking:
    """Asks a module's process at a time, `python -m MODULE PARENT`, which may be ready before it is asked.

    What such a process needs takes longer to load than most answers. While `run` runs, one is started as soon as a
    question can be foreseen, and ends if it is not asked soon; without that each is started when it is asked.
    """

    def __init__(self, module: str) -> None:
        self._module = module
        self._ready: Process | None = None
        self._is_foreseen = asyncio.Event()

    async def run(self) -> None:
        try:
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(KEPT_S if self._ready else None):
                        await self._is_foreseen.wait()
                is_foreseen = self._is_foreseen.is_set()
                self._is_foreseen.clear()
                if not is_foreseen:
                    await self._end_ready()
                elif not self.is_ready:
                    await self._make_ready()
        finally:
            await asyncio.shield(self._end_ready())

    @property
    def is_ready(self) -> bool:
        """Whether one waits for its question."""
        return self._ready is not None and self._ready.returncode is None

    def foresee(self) -> None:
        """There is soon to be a question."""
        self._is_foreseen.set()

    async def _make_ready(self) -> None:
        try:
            self._ready = await _started(self._module)
        except OSError as error:
            log.warning("no process is ready to be asked", extra={"reason": str(error)})

    async def _end_ready(self) -> None:
        ready, self._ready = self._ready, None
        if ready:
            await _ended(ready)

    async def ask(self, *arguments: str, within_s: float) -> Answer:
        """What it answers to these. It is gone on return. Raises TimeoutError, OSError."""
        process = self._ready if self.is_ready else None
        if process is None:
            process = await _started(self._module)
        else:
            self._ready = None
        try:
            async with asyncio.timeout(within_s):
                return await _answer(process, arguments)
        finally:
            await _ended(process)


async def _started(module: str) -> Process:
    command = (sys.executable, "-I", "-m", module, str(os.getpid()))
    return await asyncio.create_subprocess_exec(
        *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, env={}, start_new_session=True
    )


async def _answer(process: Process, arguments: Sequence[str]) -> Answer:
    assert process.stdin
    assert process.stdout
    assert process.stderr
    with suppress(RuntimeError):  # from uvloop, of one that was ended a moment ago; its code will tell
        process.stdin.write(json.dumps(arguments).encode() + b"\n")
    output, said, code = await asyncio.gather(first_bytes(process.stdout), first_bytes(process.stderr), process.wait())
    told = said[:MOST_BYTES].decode(errors="replace")
    return Answer(code, output, told) if len(output) <= MOST_BYTES else Answer(None, b"", told)


async def _ended(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def first_bytes(stream: asyncio.StreamReader) -> bytes:
    """All of it is read, and a byte more than what is wanted of it is kept."""
    kept = bytearray()
    while read := await stream.read(MOST_BYTES):
        kept += read[: MOST_BYTES + 1 - len(kept)]
    return bytes(kept)
