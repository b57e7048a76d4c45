from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from shared.contract import AccessAnswer, Change
from shared.tokens import Role

ANY = ""
"""In place of an id: whichever."""


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking, as their access token says. `id` is the user's id as text, as all ids are on a node."""

    id: str
    username: str
    role: Role
    expires_at: int


class Scope(NamedTuple):
    """What a grant is for, or what a change is about: a user, a course, a video, each one or ANY."""

    user_id: str
    course_id: str
    video_id: str

    @classmethod
    def of_change(cls, change: Change) -> "Scope":
        return cls(_text(change.user_id), _text(change.course_id), _text(change.video_id))


EVERYTHING = Scope(ANY, ANY, ANY)


def _text(some_id: UUID | None) -> str:
    return str(some_id) if some_id else ANY


@dataclass(frozen=True, slots=True)
class Grant:
    """What the node remembers of a right to watch: one user's, to a course (ANY video of it) or to one video."""

    scope: Scope
    teacher_username: str
    via: str
    version: int

    @classmethod
    def from_answer(cls, user_id: str, video_id: str, answer: AccessAnswer) -> "Grant":
        """The grant that an allowing answer stands for; a preview is a right to this video only."""
        if answer.via is None or answer.course_id is None or answer.teacher_username is None:
            raise ValueError("an answer that allows says by which right, to which course and whose")
        video = video_id if answer.via == "preview" else ANY
        return cls(Scope(user_id, str(answer.course_id), video), answer.teacher_username, answer.via, answer.version)

    @property
    def place(self) -> tuple[str, str]:
        """Where it is looked up: by its user, and by its video or else its course."""
        return self.scope.user_id, self.scope.video_id or self.scope.course_id
