"""What a service does besides answering requests: tasks that run as long as it does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

log = logging.getLogger(__name__)

TOLD_AGAIN_S = 5.0


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The jobs run as long as the block does."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    for task in tasks:
        task.add_done_callback(_tell)
    try:
        yield
    finally:
        left = set(tasks)
        while left:  # whoever catches a cancellation by mistake is told again
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=TOLD_AGAIN_S)


def _tell(task: asyncio.Task[None]) -> None:
    """A job that ends by itself has failed, and nobody waits for it."""
    if not task.cancelled() and (error := task.exception()):
        log.critical("a job ended", exc_info=error)
