from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from cloud_service.videos.models import StoredVideo
from shared.contract import RenditionName, VideoStatus
from shared.schemas import Moment, Out


class RenditionOut(Out):
    """`size` in bytes, `bitrate` in bits per second."""

    name: RenditionName
    width: int
    height: int
    frame_rate: float
    size: int
    bitrate: int


class VideoOut(Out):
    """`size` of the original, in bytes.

    `plays_original` says whether browsers play it as it was uploaded, which they can as long as nothing else is ready.
    Of a practice video `lesson_id` and `course_id` are null. `replaces` is the lesson's video that this one will take
    the place of. `captions` are language tags. `reason` says to its owner and to admins why a video
    could not be processed.
    """

    id: UUID
    title: str
    lesson_id: UUID | None
    course_id: UUID | None
    status: VideoStatus
    reason: str | None
    percent_done: int
    size: int
    sha256: str
    media_type: str
    duration_s: float
    width: int
    height: int
    plays_original: bool
    renditions: list[RenditionOut]
    captions: list[str]
    replaces: UUID | None
    stored_at: Moment

    @classmethod
    def from_stored(cls, video: StoredVideo, percent_done: int, captions: Sequence[str] = ()) -> "VideoOut":
        return cls(
            id=UUID(video.id),
            title=video.title,
            lesson_id=UUID(video.lesson_id) if video.lesson_id else None,
            course_id=UUID(video.course_id) if video.kind == "course" else None,
            status=video.status,
            reason=video.reason or None,
            percent_done=percent_done,
            size=video.size,
            sha256=video.sha256,
            media_type=video.media_type,
            duration_s=video.duration_s,
            width=video.width,
            height=video.height,
            plays_original=video.plays,
            renditions=[RenditionOut.model_validate(made, from_attributes=True) for made in video.renditions],
            captions=list(captions),
            replaces=UUID(video.replaces) if video.replaces and not video.came_late else None,
            stored_at=datetime.fromtimestamp(video.stored_at, UTC),
        )
