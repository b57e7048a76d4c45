"""May this viewer watch this video? From memory when it is known, else asked of the VPS and remembered."""

from uuid import UUID

from cloud_service.access.models import Grant, Viewer
from cloud_service.access.rights import Rights
from cloud_service.access.single_flight import SingleFlight
from cloud_service.feed import Feed
from cloud_service.videos.models import StoredVideo
from shared.contract import ACCESS, TEACHER, AccessAnswer, AccessQuestion, TeacherAnswer
from shared.peer import Peer
from shared.problems import AppError, Forbidden, NotAuthenticated, NotFound, Unavailable

ATTEMPTS = 3


class KeyRequired(Forbidden):
    code, title = "key_required", "A key to this course is needed"


class VideoNotFound(NotFound):
    code, title = "video_not_found", "There is no such video"


class RightsUnknown(Unavailable):
    code, title = "rights_unknown", "Whether you may watch this cannot be known right now"


REFUSALS: dict[str, type[AppError]] = {
    "key_required": KeyRequired,
    "video_not_found": VideoNotFound,
    "user_inactive": NotAuthenticated,
}


class Access:
    def __init__(self, rights: Rights, feed: Feed, vps: Peer, trust_watching_s: float) -> None:
        self._rights, self._feed, self._vps = rights, feed, vps
        self._trust_watching_s = trust_watching_s
        self._questions: SingleFlight[AccessAnswer | None] = SingleFlight()
        self._standings: SingleFlight[TeacherAnswer] = SingleFlight()

    def granted(self, viewer: Viewer, video: StoredVideo) -> bool:
        """Whether what is remembered lets this viewer watch. Raises RightsUnknown when it is too old to be trusted."""
        if self._rights.grant_for(viewer.id, video) is None:
            return False
        if self._feed.age_s() > self._trust_watching_s:
            raise RightsUnknown
        return True

    async def check(self, viewer: Viewer, video: StoredVideo) -> None:
        """Returns when the viewer may watch. Raises KeyRequired, VideoNotFound, NotAuthenticated, Unavailable.

        A refusal is not remembered: the viewer may be paying at this moment.
        """
        if self.granted(viewer, video):
            return
        for _ in range(ATTEMPTS):
            answer = await self._questions.run((viewer.id, video.id), lambda: self._learn(viewer.id, video.id))
            if answer and answer.allowed:
                return
            if answer:
                raise REFUSALS[answer.reason]
        raise RightsUnknown  # it changes faster than it can be asked

    async def _learn(self, user_id: str, video_id: str) -> AccessAnswer | None:
        """Ask and remember in one flight: whoever comes right after finds it remembered. None when it is outdated."""
        question = AccessQuestion(user_id=UUID(user_id), video_id=UUID(video_id))
        answer = await self._vps.post(ACCESS, question, AccessAnswer)
        if answer.allowed and not await self._rights.remember(Grant.from_answer(user_id, video_id, answer)):
            return None
        return answer

    async def standing(self, viewer: Viewer, course_id: UUID | None) -> TeacherAnswer:
        """A teacher's standing. What is remembered answers only when it allows: a refusal may be out of date."""
        known = self._rights.teacher(viewer.id)
        if known and known.verified and (course_id is None or course_id in known.courses):
            return known
        return await self._standings.run(viewer.id, lambda: self._learn_standing(viewer.id))

    async def _learn_standing(self, user_id: str) -> TeacherAnswer:
        answer = await self._vps.get(TEACHER.format(user_id=user_id), TeacherAnswer)
        if answer.is_teacher:
            await self._rights.remember_teacher(answer)
        return answer
