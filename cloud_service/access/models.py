from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shared.contract import OF_ONE_VIDEO, AccessAnswer, Asker, Change, Via
from shared.tokens import AccessClaims

ANY = ""
"""In place of an id: whichever."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking, as their access token says. `id` is the user's id as text, as all ids are on a node.

    `session_id` is empty for a token of an earlier release, which names none.
    """

    id: str
    generation: int
    expires_at: int
    username: str = ""
    session_id: str = ""

    @classmethod
    def from_claims(cls, claims: AccessClaims) -> "Viewer":
        return cls(str(claims.user_id), claims.generation, claims.expires_at, claims.username, _text(claims.session_id))

    def asker(self) -> Asker:
        session_id = UUID(self.session_id) if self.session_id else None
        return Asker(user_id=UUID(self.id), generation=self.generation, session_id=session_id)


class Scope(NamedTuple):
    """What a grant is for, or what a change is about: a user, a course, a video, each one or ANY."""

    user_id: str
    course_id: str
    video_id: str

    @classmethod
    def of_change(cls, change: Change) -> "Scope":
        return cls(_text(change.user_id), _text(change.course_id), _text(change.video_id))

    def covers(self, other: "Scope") -> bool:
        """Whether everything that is named here is so there."""
        return all(mine in (ANY, theirs) for mine, theirs in zip(self, other, strict=True))


EVERYTHING = Scope(ANY, ANY, ANY)


def _text(some_id: UUID | None) -> str:
    return str(some_id) if some_id else ANY


@dataclass(frozen=True, slots=True)
class Grant:
    """What the node remembers of a right to watch: one user's, to a course (ANY video of it) or to one video.

    It was given to a token of this `generation`; `version` is the change that it is no older than. `may_download`: the
    originals too, to be kept.
    """

    scope: Scope
    teacher_username: str
    via: Via
    version: int
    generation: int
    may_download: bool = False

    @classmethod
    def from_answer(cls, viewer: Viewer, video_id: str, answer: AccessAnswer) -> "Grant":
        """The grant that an allowing answer stands for."""
        if answer.via is None or answer.course_id is None or answer.teacher_username is None:
            raise ValueError("an answer that allows says by which right, to which course and whose")
        scope = Scope(viewer.id, str(answer.course_id), video_id if answer.via in OF_ONE_VIDEO else ANY)
        return cls(
            scope,
            answer.teacher_username,
            answer.via,
            answer.as_of.number,
            viewer.generation,
            answer.may_download,
        )
