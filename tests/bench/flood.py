"""Somebody who tries passwords: so many a second from ever new addresses, whether or not they are answered."""

import asyncio
import sys
from itertools import cycle
from pathlib import Path

from tests.bench.load import address_of
from tests.bench.people import logins

GIVES_UP_AFTER_S = 10
WRONG = "correct horse battery stable"


async def _try(address: tuple[str, int], request: bytes) -> None:
    """What is answered is of no interest, nor whether anything is."""
    try:
        async with asyncio.timeout(GIVES_UP_AFTER_S):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request)
            await reader.readuntil(b"\r\n\r\n")
            writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        pass


async def flood(vps: str, usernames: list[str], per_s: float) -> None:
    """Until cancelled."""
    address, trying = address_of(vps), set()
    now = asyncio.get_running_loop().time
    due = now()
    for request in cycle(logins(vps, usernames, WRONG)):
        trying.add(task := asyncio.create_task(_try(address, request)))
        task.add_done_callback(trying.discard)
        due += 1 / per_s
        await asyncio.sleep(max(0, due - now()))


if __name__ == "__main__":
    asyncio.run(flood(sys.argv[1], Path(sys.argv[2]).read_text().split(), float(sys.argv[3])))
