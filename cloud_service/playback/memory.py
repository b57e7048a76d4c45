"""Having a part of a file in memory before it is sent from there, so that no disk holds up the event loop.

The system says of a part how much of it is in memory or being brought there (cachestat(2), Linux 6.5). Reading tells of
single places whether they are there without waiting for the disk (preadv2(2), RWF_NOWAIT): of a few where the system
says that all is, of many where it says nothing. Of what it says is not there, none is tried: a quick disk brings in
just what is tried, and the rest would still be missing.
"""

import asyncio
import ctypes
import mmap
import os
from collections.abc import Iterable

APART_BYTES = 128 * 1024
"""What the system reads from a disk ahead, at once, of what is read in order."""
_CACHESTAT = 451
"""Its number (asm-generic/unistd.h)."""
_system = ctypes.PyDLL(None)
_asked, _told = (ctypes.c_uint64 * 2)(), (ctypes.c_uint64 * 5)()
"""From where on how many bytes; how many pages of them are in memory, and four more numbers."""


async def bring_in(handle: int, part: range) -> None:
    """From the disk, in a thread, unless it is there already. Raises OSError."""
    is_there = is_all_in_memory(handle, part)
    if is_there is not False:
        try:
            _try(handle, (part[len(part) // 2], part[-1]) if is_there else (*part[::APART_BYTES], part[-1]))
            return
        except BlockingIOError:
            pass
        except OSError:  # a file system that does not know the flag
            if is_there:
                part = part[-1:]  # which may be on its way
    await asyncio.to_thread(os.pread, handle, len(part), part.start)


def is_all_in_memory(handle: int, part: range) -> bool | None:
    """Or is being read, as what comes last may be. None where the system does not say.

    Of some file systems, as those that lie over others, it knows nothing, and says that nothing is there.

    Costs much less than to try every place.
    """
    _asked[0], _asked[1] = part.start, len(part)
    if _system.syscall(_CACHESTAT, handle, _asked, _told, 0):
        return None
    return int(_told[0]) > part[-1] // mmap.PAGESIZE - part.start // mmap.PAGESIZE


def _try(handle: int, places: Iterable[int]) -> None:
    """Here and there only: what was in between was read together with it, and goes together with it.

    Raises BlockingIOError where one has to be waited for, OSError.
    """
    byte = bytearray(1)
    for place in places:
        os.preadv(handle, [byte], place, os.RWF_NOWAIT)
