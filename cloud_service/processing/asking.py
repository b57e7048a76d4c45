"""Asking about a file a process that confines itself before it opens it (`confined`)."""

import asyncio
import os
import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Answer:
    """The `code` that it ended with, what it wrote as its `output`, and what it `said` on standard error."""

    code: int | None
    output: bytes
    said: str


async def ask(module: str, *arguments: str, within_s: float) -> Answer:
    """What `python -m MODULE PARENT ARGUMENTS` answers. It is gone on return. Raises TimeoutError."""
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
    try:
        async with asyncio.timeout(within_s):
            output, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return Answer(process.returncode, output, said.decode(errors="replace"))
