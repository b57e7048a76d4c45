"""Processes that are asked about a file (`media.asking`), caught as they begin.

Whoever looks for them among all processes comes too late on a busy machine: most have answered soon.
"""

from asyncio.subprocess import Process
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from cloud_service.media import asking


@contextmanager
def done_to_each(act: Callable[[Process], None]) -> Iterator[None]:
    """As long as it lasts, to each that is started here, before it is asked anything."""
    begun = asking._started

    async def started(module: str) -> Process:
        process = await begun(module)
        act(process)
        return process

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asking, "_started", started)
        yield
