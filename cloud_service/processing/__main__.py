"""`toptank worker`: make of a node's videos what players need."""

import asyncio
import logging
import platform
import signal
from contextlib import suppress

from cloud_service.processing.confined import knows_calls, landlock_version
from cloud_service.processing.worker import work
from cloud_service.settings import WorkerSettings
from shared import logs
from shared.settings import load, stop

log = logging.getLogger(__name__)


def main() -> None:
    settings = load(WorkerSettings)
    logs.configure(f"{settings.node_id}-worker", settings.log_level)
    if not knows_calls():
        stop(f"ffmpeg cannot be confined on {platform.machine()}")
    if not landlock_version():
        if settings.confinement_required:
            stop("this kernel has no Landlock, which TOPTANK_CONFINEMENT_REQUIRED asks for")
        log.warning("this kernel has no Landlock: ffmpeg sees every file that the worker may read")
    try:
        asyncio.run(_until_told(settings))
    except OSError as error:
        stop(f"{settings.folder} cannot be used: {error.strerror}")


async def _until_told(settings: WorkerSettings) -> None:
    """SIGTERM and SIGINT end it: ffmpeg at once, the job for somebody else."""
    working = asyncio.ensure_future(work(settings))
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, working.cancel)
    with suppress(asyncio.CancelledError):
        await working


if __name__ == "__main__":
    main()
