from typing import Annotated

from pydantic import Field

from shared.schemas import Moment, Out, Patch
from vps_service.community.models import VideoShare
from vps_service.courses.schemas import PracticeVideoOut, Title

Line = Annotated[str, Field(max_length=200)]
Paragraphs = Annotated[str, Field(max_length=5000)]


class VideoPatch(Patch):
    """`is_public`: anyone signed in may watch it."""

    title: Title | None = None
    description: Paragraphs | None = None
    piece_name: Line | None = None
    composer: Line | None = None
    practice_goals: Paragraphs | None = None
    is_public: bool | None = None


class PersonCard(Out):
    username: str
    name: str


class PracticeVideoDetail(PracticeVideoOut):
    """`reason`, why it could not be processed, is told to its owner and to admins only."""

    owner: PersonCard
    description: str
    piece_name: str
    composer: str
    practice_goals: str
    is_public: bool


class ShareOut(PersonCard):
    """With whom a video is shared."""

    shared_at: Moment

    @classmethod
    def from_row(cls, share: VideoShare) -> "ShareOut":
        return cls(username=share.user.username, name=share.user.name, shared_at=share.created_at)
