from datetime import UTC, datetime
from typing import Literal
from uuid import UUID

from cloud_service.videos.models import StoredVideo
from shared.schemas import Moment, Out


class VideoOut(Out):
    """`renditions` are what can be played now; `size` in bytes."""

    id: UUID
    lesson_id: UUID
    course_id: UUID
    status: Literal["processing", "ready", "error"]
    percent_done: int
    size: int
    sha256: str
    media_type: str
    duration_s: float
    width: int
    height: int
    renditions: list[Literal["original"]]
    stored_at: Moment

    @classmethod
    def from_stored(cls, video: StoredVideo) -> "VideoOut":
        """A stored video plays in its original form, so it is ready."""
        fields = {name: getattr(video, name) for name in cls.model_fields if hasattr(video, name)}
        fields["stored_at"] = datetime.fromtimestamp(video.stored_at, UTC)
        return cls(status="ready", percent_done=100, renditions=["original"], **fields)
