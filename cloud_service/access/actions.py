"""May this viewer watch this video? From memory when it is known, else asked of the VPS and remembered."""

import asyncio
import logging
from uuid import UUID

from cloud_service.access.models import Grant, Scope, Viewer
from cloud_service.access.rights import Rights
from cloud_service.access.single_flight import SingleFlight
from cloud_service.access.watching import Watching
from cloud_service.clock import uptime
from cloud_service.freshness import Freshness
from cloud_service.settings import CloudSettings
from cloud_service.videos.models import StoredVideo
from cloud_service.vps import Vps
from shared.contract import ACCESS, STANDING, AccessAnswer, AccessQuestion, StandingAnswer, StandingQuestion
from shared.killpoints import killpoint
from shared.problems import AppError, Forbidden, NotAuthenticated, NotFound, Unavailable

log = logging.getLogger(__name__)

ATTEMPTS = 3
WRITTEN_WITHIN_S = 1.0


class KeyRequired(Forbidden):
    code, title = "key_required", "A key to this course is needed"


class VideoNotFound(NotFound):
    code, title = "video_not_found", "There is no such video"


class RightsUnknown(Unavailable):
    code, title = "rights_unknown", "Whether you may watch this cannot be known right now"


REFUSALS: dict[str, type[AppError]] = {
    "key_required": KeyRequired,
    "video_not_found": VideoNotFound,
    "signed_out": NotAuthenticated,
}


def _tell_failure(writing: asyncio.Future[bool]) -> None:
    if not writing.cancelled() and (error := writing.exception()):
        log.error("a right is remembered in memory only", extra={"reason": repr(error)})


class Access:
    def __init__(self, rights: Rights, freshness: Freshness, vps: Vps, settings: CloudSettings) -> None:
        self._rights, self._freshness, self._vps = rights, freshness, vps
        self._trust_starting_s, self._trust_watching_s = settings.trust_starting_s, settings.trust_watching_s
        self._watching = Watching()
        self._questions: SingleFlight[AccessAnswer | None] = SingleFlight()
        self._standings: SingleFlight[StandingAnswer] = SingleFlight()

    def granted(self, viewer: Viewer, video: StoredVideo) -> bool:
        """Whether what is remembered lets this viewer watch.

        Raises RightsUnknown when it is too old to be trusted, which it is sooner for somebody who only starts, and
        NotAuthenticated when the token's session has ended, or a later token of the same user was let in since: this
        one was signed out.
        """
        sessions = self._rights.sessions
        if sessions.have_ended(viewer.session_id):
            raise NotAuthenticated
        grant = self._rights.grant_for(viewer.id, video)
        if grant is None or sessions.doubts(viewer.session_id):
            return False
        if grant.generation > viewer.generation:
            raise NotAuthenticated
        now = uptime()
        age_s = self._freshness.age_s(now)
        if age_s <= self._trust_starting_s:
            self._watching.goes_on(viewer.id, video.id, now)
        elif age_s > self._trust_watching_s or not self._watching.includes(viewer.id, video.id, now):
            raise RightsUnknown
        return True

    async def check(self, viewer: Viewer, video: StoredVideo, *, after: int = 0) -> None:
        """Returns when the viewer may watch. Raises KeyRequired, VideoNotFound, NotAuthenticated, Unavailable.

        `after` is a change that the viewer knows of: a refusal that is older is not repeated.
        """
        if self.lets_in(viewer, video):
            return
        answer = self._rights.refusal(viewer.id, viewer.generation, video.id, after=after)
        for attempt in range(ATTEMPTS):
            if answer is None:
                about = (viewer.id, viewer.generation, viewer.session_id, video.id)
                answer = await self._questions.run(about, lambda: self._learn(viewer, video))
            if answer and answer.allowed:
                if self._rights.sessions.have_ended(viewer.session_id):  # meanwhile
                    raise NotAuthenticated
                return
            # The first may be one that others had asked for before this viewer came.
            if answer and (attempt or answer.as_of.number >= after):
                raise REFUSALS[answer.reason]
            answer = None
        raise RightsUnknown(retry_after_s=1)  # it changes faster than it can be asked

    def lets_in(self, viewer: Viewer, video: StoredVideo) -> bool:
        """`granted`, of what is not hidden from this viewer. Raises as that does."""
        return self.granted(viewer, video) and not self._is_hidden(viewer, video)

    def may_download(self, viewer: Viewer, video: StoredVideo) -> bool:
        """Whether what is remembered lets this viewer keep the original. Raises what `granted` does."""
        grant = self._rights.grant_for(viewer.id, video)
        return grant is not None and grant.may_download and self.granted(viewer, video)

    def _is_hidden(self, viewer: Viewer, video: StoredVideo) -> bool:
        """What is still to take another's place, its owner and admins may see; of others the VPS knows whether it is.

        It has taken that place already if the other one was deleted meanwhile.
        """
        if not video.replaces or video.status == "ready":
            return False
        return not self.looks_after(viewer, video)

    def looks_after(self, viewer: Viewer, video: StoredVideo) -> bool:
        """Whether what is remembered says that this is its owner, or an admin."""
        grant = self._rights.grant_for(viewer.id, video)
        return grant is not None and grant.via in ("owner", "review")

    async def _learn(self, viewer: Viewer, video: StoredVideo) -> AccessAnswer | None:
        """Ask and remember in one flight: whoever comes right after finds it remembered. None when it is outdated."""
        question = AccessQuestion(video_id=UUID(video.id), **viewer.asker().model_dump())
        answer = await self._vps.post(ACCESS, question, AccessAnswer)
        killpoint("access.answered")
        if not self._rights.believes(answer.as_of, viewer.id, [video.course_id], video.id):
            return None
        if answer.reason == "signed_out" and viewer.session_id:
            return answer  # perhaps only for now: an end that is for good comes by the feed
        self._rights.lets_in(viewer, answer.as_of)
        if not answer.allowed:
            scope = Scope(viewer.id, video.course_id, video.id)
            return answer if self._rights.remember_refusal(scope, viewer.generation, answer) else None
        if not await self._remember(Grant.from_answer(viewer, video.id, answer), answer.as_of.epoch):
            return None
        killpoint("access.remembered")
        self._watching.goes_on(viewer.id, video.id, uptime())
        return answer

    async def _remember(self, grant: Grant, epoch: UUID) -> bool:
        """A file that cannot be written keeps nobody waiting who has a right."""
        writing = asyncio.ensure_future(self._rights.remember(grant, epoch))
        writing.add_done_callback(_tell_failure)
        await asyncio.wait([writing], timeout=WRITTEN_WITHIN_S)
        if writing.done() and not writing.exception():
            return writing.result()
        return self._rights.admit(grant, epoch)

    async def standing(self, viewer: Viewer, course_id: UUID | None) -> StandingAnswer:
        """A teacher's standing. What is remembered answers only when it allows: a refusal may be out of date.

        Raises NotAuthenticated for a viewer who was signed out, RightsUnknown where it is too old to be trusted.
        """
        known = self._rights.standing(viewer)
        if known and known.verified and (course_id is None or course_id in known.courses):
            if self._freshness.age_s() <= self._trust_starting_s:
                return known
            raise RightsUnknown
        about = (viewer.id, viewer.generation, viewer.session_id)
        answer = await self._standings.run(about, lambda: self._learn_standing(viewer))
        if answer.signed_out:
            raise NotAuthenticated
        return answer

    async def _learn_standing(self, viewer: Viewer) -> StandingAnswer:
        question = StandingQuestion(**viewer.asker().model_dump())
        answer = await self._vps.post(STANDING, question, StandingAnswer)
        if answer.signed_out:
            self._rights.sessions.end([viewer.session_id])
            return answer
        self._rights.lets_in(viewer, answer.as_of)
        if answer.is_teacher:
            await self._rights.remember_standing(viewer, answer)
        return answer
