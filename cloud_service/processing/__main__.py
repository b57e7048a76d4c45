"""`toptank worker`: make of a node's videos what players need."""

import asyncio
import signal
from contextlib import suppress

from cloud_service.media.kernel import check_kernel
from cloud_service.processing.worker import work
from cloud_service.settings import WorkerSettings
from shared import logs
from shared.settings import load, stop


def main() -> None:
    settings = load(WorkerSettings)
    logs.configure(f"{settings.node_id}-worker", settings.log_level)
    check_kernel(settings)
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
