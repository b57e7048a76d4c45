"""Having a part of a file in memory before it is sent from there, so that no disk holds up the event loop.

Reading tells whether it is there without waiting for the disk (preadv2(2), RWF_NOWAIT).
"""

import asyncio
import os

APART_BYTES = 128 * 1024
"""What the system reads from a disk ahead, at once, of what is read in order."""


async def bring_in(handle: int, part: range) -> None:
    """From the disk, in a thread, unless it is there already. Raises OSError."""
    if not _is_in_memory(handle, part):
        await asyncio.to_thread(os.pread, handle, len(part), part.start)


def _is_in_memory(handle: int, part: range) -> bool:
    """Tried here and there only: what was in between was read together with it, and goes together with it."""
    byte = bytearray(1)
    try:
        for place in (*part[::APART_BYTES], part[-1]):
            os.preadv(handle, [byte], place, os.RWF_NOWAIT)
    except OSError:  # has to be waited for, or a file system that does not know the flag
        return False
    return True
