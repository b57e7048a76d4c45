"""Which courses are there for everybody, as far as somebody asked: the posters of their videos are, too."""

import asyncio
import logging
from uuid import UUID

from cloud_service.access.models import ANY, Scope
from cloud_service.access.rights import Rights
from cloud_service.access.single_flight import SingleFlight
from cloud_service.clock import uptime
from cloud_service.freshness import Freshness
from cloud_service.vps import Vps
from shared.contract import Change
from shared.posters import POSTERS, PostersAnswer, PostersQuestion
from shared.problems import AppError

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Questions under way: nobody has to be signed in to have one asked."""
ATTEMPTS = 3
PAUSE_S = 1.0
"""After a question that was not answered, before the next."""


class Published:
    """In memory only, one answer a course that this node has a video of. What is too old to be trusted counts as no."""

    def __init__(self, rights: Rights, freshness: Freshness, vps: Vps, trusted_s: float) -> None:
        self._rights, self._freshness, self._vps, self._trusted_s = rights, freshness, vps, trusted_s
        self._known: dict[str, PostersAnswer] = {}
        self._questions: SingleFlight[PostersAnswer | None] = SingleFlight()
        self._asking = asyncio.Semaphore(AT_ONCE)
        self._failed_at = float("-inf")

    async def includes(self, course_id: str) -> bool:
        """False, too, while it cannot be known."""
        answer = self._known.get(course_id)
        if answer is None or not self._rights.reflects(answer.as_of, course_id):
            answer = await self._questions.run(course_id, lambda: self._learn(course_id))
        return answer is not None and answer.are_public and self._freshness.age_s() <= self._trusted_s

    async def _learn(self, course_id: str) -> PostersAnswer | None:
        async with self._asking:
            for _ in range(ATTEMPTS):
                if uptime() - self._failed_at < PAUSE_S:
                    return None
                try:
                    answer = await self._vps.post(POSTERS, PostersQuestion(course_id=UUID(course_id)), PostersAnswer)
                except AppError as error:
                    log.warning("posters not asked about", extra={"course_id": course_id, "reason": error.code})
                    self._failed_at = uptime()
                    return None
                if self._rights.reflects(answer.as_of, course_id):
                    self._known[course_id] = answer
                    return answer
        return None

    def hear(self, change: Change) -> None:
        """Whatever is about a course as a whole may be about this."""
        about = Scope.of_change(change)
        if about.user_id == about.video_id == ANY:
            self._known.pop(about.course_id, None)
            if about.course_id == ANY:
                self._known.clear()

    def forget(self) -> None:
        """Changes were missed."""
        self._known.clear()
