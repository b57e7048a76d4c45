from dataclasses import dataclass

from shared.contract import AccessAnswer
from shared.tokens import Role


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who is asking, as their access token says. `id` is the user's id as text, as all ids are on a node."""

    id: str
    username: str
    role: Role
    expires_at: int


@dataclass(frozen=True, slots=True)
class Grant:
    """What the node remembers of a right to watch: one user's, to a whole course or (a preview) to one video."""

    user_id: str
    scope_id: str
    course_id: str
    teacher_username: str
    via: str
    version: int

    @classmethod
    def from_answer(cls, user_id: str, video_id: str, answer: AccessAnswer) -> "Grant":
        """The grant that an allowing answer stands for."""
        assert answer.via is not None
        scope = video_id if answer.via == "preview" else str(answer.course_id)
        teacher = answer.teacher_username or ""
        return cls(user_id, scope, str(answer.course_id), teacher, answer.via, answer.version)

    @property
    def scopes(self) -> tuple[str, ...]:
        """Whatever a revocation of this grant may be recorded under."""
        return (self.course_id, self.scope_id)
