"""Ending the uploads that a node has under way, before another takes its place over the same files."""

import asyncio
import logging

from cloud_service.node import Node

log = logging.getLogger(__name__)

WITHIN_S = 60.0
LOOK_EVERY_S = 0.05


async def end_uploads(node: Node) -> None:
    """When its database is broken, which ends whoever is sending. What can be resumed is kept.

    Nobody is at any of its files when this returns.
    """
    node.resumable.close()
    try:
        async with asyncio.timeout(WITHIN_S):
            while node.space.under_way() or not node.resumable.is_quiet():  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        log.error("uploads do not end", extra={"ids": sorted(node.space.under_way())})
