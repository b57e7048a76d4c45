"""Tells the VPS every few seconds how this node is and where clients find it, and hears what it is to do."""

import asyncio
import logging

from cloud_service.access.rights import Rights
from cloud_service.clock import VpsClock
from cloud_service.freshness import Freshness
from cloud_service.outbox import Outbox
from cloud_service.reconcile import Reconciler
from cloud_service.settings import CloudSettings
from cloud_service.uploads.space import Space
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.store import VideoStore
from cloud_service.vps import Vps
from shared.contract import REPORTS, NodeOrders, NodeReport
from shared.problems import AppError

log = logging.getLogger(__name__)

FIRST_RETRY_S = 0.3


class Reports:
    def __init__(
        self,
        settings: CloudSettings,
        vps: Vps,
        clock: VpsClock,
        store: VideoStore,
        space: Space,
        catalogue: Catalogue,
        rights: Rights,
        freshness: Freshness,
        outbox: Outbox,
        reconciler: Reconciler,
    ) -> None:
        self._settings, self._vps, self._clock = settings, vps, clock
        self._store, self._space = store, space
        self._catalogue, self._rights, self._freshness = catalogue, rights, freshness
        self._outbox, self._reconciler = outbox, reconciler

    async def run(self) -> None:
        """Until cancelled. Until the VPS has heard of this node once, it can send nobody here."""
        pause = FIRST_RETRY_S
        while True:
            try:
                orders = await self._vps.post(REPORTS, await self.report(), NodeOrders)
                pause = self._settings.report_every_s
                if orders.reconcile:
                    self._reconciler.want(orders.reconcile)
            except AppError:
                pass  # the VPS's client has logged it; the next report says all that this one would have
            except Exception:
                log.exception("not reported")
            await asyncio.sleep(pause)

    async def report(self) -> NodeReport:
        backlog = await self._outbox.backlog()
        capacity, _ = self._store.capacity()
        skew = self._clock.skew_s()
        position = self._rights.position
        return NodeReport(
            url=self._settings.cloud_url,
            capacity_bytes=capacity,
            bytes_free=self._space.left(),
            bytes_stored=sum(video.size for video in self._catalogue),
            videos=len(self._catalogue),
            grants=len(self._rights),
            outbox_depth=backlog.depth,
            outbox_age_s=round(backlog.age_s, 1),
            outbox_set_aside=backlog.set_aside,
            feed_position=position.number if position else None,
            trust_age_s=self._freshness.known_age_s(),
            clock_skew_s=None if skew is None else round(skew, 1),
        )
