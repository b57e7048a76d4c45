"""By timer: what is on the disk and known to no row goes, and so do keys and claims that nobody will come back to."""

import asyncio
import logging
import time

from cloud_service.node import Node

log = logging.getLogger(__name__)

EVERY_S = 300.0
OLD_S = 600.0
"""How long ago something was last changed that is taken for a leftover; nothing under way is that old."""


async def sweep_regularly(node: Node, every_s: float = EVERY_S) -> None:
    """Until cancelled."""
    while True:
        await asyncio.sleep(every_s)
        try:
            await sweep(node)
        except Exception:
            log.exception("not swept")


async def sweep(node: Node) -> None:
    """Of single-shot uploads; what can be resumed, and what workers leave, those look after who make it."""
    under_way = node.space.under_way()  # before the rows: what is stored in between is in one or the other
    known = list(node.catalogue)
    before = time.time() - OLD_S
    swept = await asyncio.to_thread(node.store.sweep, known, before=before, besides=under_way)
    if swept:
        log.warning("leftovers removed", extra={"ids": swept})
    lost = await asyncio.to_thread(node.store.without_bytes, known)
    if still := [video.id for video in lost if node.catalogue.find(video.id)]:
        log.error("videos whose bytes are gone", extra={"ids": still})
    await node.keys.sweep()
    await _sweep_claims(node)


async def _sweep_claims(node: Node) -> None:
    """Of uploads that ended, or were not completed, when the database took no writes."""
    async with node.database.transaction() as transaction:
        claims = [row["id"] for row in await transaction.fetch("SELECT id FROM uploads")]
        over = [(upload_id,) for upload_id in claims if upload_id not in node.claims]
        await transaction.execute_many("DELETE FROM uploads WHERE id = ?", over)
