from dataclasses import dataclass, field

from shared.contract import VideoStored


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video whose bytes are on this node's disk. Ids are text, `stored_at` is in Unix seconds."""

    id: str
    lesson_id: str
    course_id: str
    owner_id: str
    teacher_username: str
    size: int
    sha256: str
    media_type: str
    duration_s: float
    width: int
    height: int
    stored_at: int
    etag: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "etag", f'"{self.sha256[:32]}"')

    def announcement(self) -> VideoStored:
        """What the VPS is told of it."""
        return VideoStored.model_validate(
            {
                "video_id": self.id,
                "lesson_id": self.lesson_id,
                "course_id": self.course_id,
                "owner_id": self.owner_id,
                "size": self.size,
                "sha256": self.sha256,
                "media_type": self.media_type,
                "duration_s": self.duration_s,
                "stored_at": self.stored_at,
            }
        )
