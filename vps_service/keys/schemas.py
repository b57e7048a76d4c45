from typing import Literal
from uuid import UUID

from shared.schemas import Moment, Out
from vps_service.courses.schemas import VideoLink


class CourseOfKey(Out):
    id: UUID
    title: str


class KeyOut(Out):
    """A right bound to its user; `void` keys are receipts."""

    id: UUID
    course: CourseOfKey
    status: Literal["active", "void"]
    created_at: Moment


class KeyWithVideos(Out):
    key: KeyOut
    videos: list[VideoLink]
