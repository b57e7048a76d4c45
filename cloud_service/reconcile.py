"""Comparing this node with the VPS, and repairing: every night, on the operator's word, and whenever rows were lost."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from uuid import UUID

from cloud_service.access.models import ANY, Grant
from cloud_service.access.rights import Rights
from cloud_service.outbox import Outbox
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.vps import Vps
from shared.contract import (
    RECONCILE_COURSES,
    RECONCILE_GRANTS,
    RECONCILE_VIDEOS,
    RECONCILED,
    CourseDigest,
    CoursesCompared,
    CoursesHeld,
    GrantHeld,
    GrantsCompared,
    GrantsHeld,
    Received,
    Reconciliation,
    VideoHeld,
    VideosCompared,
    VideosHeld,
    course_digest,
)
from shared.killpoints import killpoint
from shared.problems import AppError

log = logging.getLogger(__name__)

NIGHTLY_S = 24 * 3600
RETRY_S = 2.0
COURSES_AT_ONCE, GRANTS_AT_ONCE = 500, 500
PATIENCE_S = 15.0


class Reconciler:
    """`remove` takes away a video that the VPS knows to be deleted."""

    def __init__(
        self,
        catalogue: Catalogue,
        rights: Rights,
        outbox: Outbox,
        vps: Vps,
        remove: Callable[[StoredVideo], Awaitable[None]],
    ) -> None:
        self._catalogue, self._rights, self._outbox, self._vps = catalogue, rights, outbox, vps
        self._remove = remove
        self._wanted = asyncio.Event()
        self._order = 0
        self._wanted.set()  # once at every start

    def want(self, order: int = 0) -> None:
        """Do it soon; `order` is the VPS's number for its wish, if it was one. A wish is fulfilled once."""
        if order and order == self._order:
            return
        self._order = order or self._order
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            with suppress(TimeoutError):  # not by wait_for: before Python 3.12 it may lose a cancellation
                async with asyncio.timeout(NIGHTLY_S * random.uniform(0.9, 1.1)):  # noqa: S311
                    await self._wanted.wait()
            self._wanted.clear()
            try:
                await self.reconcile()
            except AppError as error:
                log.warning("not reconciled", extra={"reason": error.code})
                await asyncio.sleep(RETRY_S)
                self._wanted.set()
            except Exception:
                log.exception("not reconciled")
                await asyncio.sleep(RETRY_S)
                self._wanted.set()

    async def reconcile(self) -> Reconciliation:
        """Raises VpsUnreachable; what was done until then stays done."""
        order, doubts = self._order, self._catalogue.doubts
        await self._outbox.deliver(of_videos=True)  # what is on its way is no difference
        by_course: dict[UUID, list[StoredVideo]] = defaultdict(list)
        for video in self._catalogue:
            by_course[UUID(video.course_id)].append(video)
        differing = await self._compare_courses(by_course)
        killpoint("reconcile.compared")
        counts = {"announced": 0, "removed": 0, "missing": 0}
        for course_id in differing:
            await self._repair(course_id, by_course.get(course_id, []), counts)
        if not self._catalogue.is_confirmed and self._catalogue.doubts == doubts:
            await self._catalogue.confirm()
        grants = self._rights.all_grants()
        found = Reconciliation(
            order=order,
            courses=len(by_course),
            videos=sum(map(len, by_course.values())),
            grants=len(grants),
            differing_courses=len(differing),
            grants_ended=await self._compare_grants(grants),
            **counts,
        )
        await self._vps.post(RECONCILED, found, Received, timeout_s=PATIENCE_S)
        await self._outbox.retry_playbacks()
        log.info("reconciled", extra=found.model_dump())
        return found

    async def _compare_courses(self, by_course: dict[UUID, list[StoredVideo]]) -> list[UUID]:
        """In stretches of ids without gaps between them, so that courses which only the VPS knows of come up too."""
        ids, differing, after = sorted(by_course), list[UUID](), None
        for start in range(0, max(1, len(ids)), COURSES_AT_ONCE):
            stretch = ids[start : start + COURSES_AT_ONCE]
            up_to = stretch[-1] if start + COURSES_AT_ONCE < len(ids) else None
            digests = [_digest(course_id, by_course[course_id]) for course_id in stretch]
            held = CoursesHeld(after=after, up_to=up_to, courses=digests)
            compared = await self._vps.post(RECONCILE_COURSES, held, CoursesCompared, timeout_s=PATIENCE_S)
            differing += compared.differing
            after = up_to
        return differing

    async def _repair(self, course_id: UUID, videos: list[StoredVideo], counts: dict[str, int]) -> None:
        here = {UUID(video.id): video for video in videos}
        listed = [
            VideoHeld(video_id=key, size=video.size, sha256=video.sha256, status=video.status)
            for key, video in here.items()
        ]
        held = VideosHeld(course_id=course_id, videos=listed)
        compared = await self._vps.post(RECONCILE_VIDEOS, held, VideosCompared, timeout_s=PATIENCE_S)
        for video_id in compared.unknown:
            await self._outbox.announce_again(str(video_id))
        for video_id in compared.gone:
            await self._remove(here[video_id])
        if compared.missing:
            log.error("videos are missing", extra={"course_id": course_id, "videos": compared.missing})
        counts["announced"] += len(compared.unknown)
        counts["removed"] += len(compared.gone)
        counts["missing"] += len(compared.missing)

    async def _compare_grants(self, grants: Sequence[Grant]) -> int:
        """How many had to be taken away: none, unless something is wrong with the feed."""
        ended = 0
        for start in range(0, len(grants), GRANTS_AT_ONCE):
            some = grants[start : start + GRANTS_AT_ONCE]
            held = GrantsHeld(grants=[_held(grant) for grant in some])
            compared = await self._vps.post(RECONCILE_GRANTS, held, GrantsCompared, timeout_s=PATIENCE_S)
            wrong = [some[place] for place in compared.wrong]
            still = [grant for grant in wrong if self._rights.holds(grant)]
            if still:
                log.error("grants that the VPS would not give", extra={"grants": [grant.scope for grant in still]})
                await self._rights.end([grant.scope for grant in still], max(grant.version for grant in still))
                ended += len(still)
        return ended


def _digest(course_id: UUID, videos: Sequence[StoredVideo]) -> CourseDigest:
    digest = course_digest((UUID(video.id), video.sha256, video.status) for video in videos)
    return CourseDigest(course_id=course_id, videos=len(videos), digest=digest)


def _held(grant: Grant) -> GrantHeld:
    user_id, course_id, video_id = grant.scope
    return GrantHeld(
        user_id=UUID(user_id),
        generation=grant.generation,
        course_id=UUID(course_id),
        video_id=UUID(video_id) if video_id != ANY else None,
        via=grant.via,
    )
