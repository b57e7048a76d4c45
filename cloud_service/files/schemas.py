from datetime import UTC, datetime
from uuid import UUID

from cloud_service.videos.models import StoredVideo
from shared.schemas import Moment, Out


class FileOut(Out):
    """A lesson's file. `name` ends as what it is; `size` in bytes."""

    id: UUID
    lesson_id: UUID
    course_id: UUID
    name: str
    media_type: str
    size: int
    sha256: str
    stored_at: Moment

    @classmethod
    def from_stored(cls, file: StoredVideo) -> "FileOut":
        return cls(
            id=UUID(file.id),
            lesson_id=UUID(file.lesson_id),
            course_id=UUID(file.course_id),
            name=file.title,
            media_type=file.media_type,
            size=file.size,
            sha256=file.sha256,
            stored_at=datetime.fromtimestamp(file.stored_at, UTC),
        )
