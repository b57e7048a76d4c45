"""Asking about a file a process that confines itself before it opens it (`confined`)."""

import asyncio
import os
import sys
from dataclasses import dataclass

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


async def ask(module: str, *arguments: str, within_s: float) -> Answer:
    """What `python -m MODULE PARENT ARGUMENTS` answers. It is gone on return. Raises TimeoutError, OSError."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        "-m",
        module,
        str(os.getpid()),
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={},
    )
    assert process.stdout
    assert process.stderr
    try:
        async with asyncio.timeout(within_s):
            output, said, code = await asyncio.gather(
                first_bytes(process.stdout), first_bytes(process.stderr), process.wait()
            )
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    told = said[:MOST_BYTES].decode(errors="replace")
    return Answer(code, output, told) if len(output) <= MOST_BYTES else Answer(None, b"", told)


async def first_bytes(stream: asyncio.StreamReader) -> bytes:
    """All of it is read, and a byte more than what is wanted of it is kept."""
    kept = bytearray()
    while read := await stream.read(MOST_BYTES):
        kept += read[: MOST_BYTES + 1 - len(kept)]
    return bytes(kept)
