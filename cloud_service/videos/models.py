"""What a node knows of a video on its disk, and of what was made from it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from pydantic import TypeAdapter

from shared.contract import RenditionMade, RenditionName, VideoKind, VideoStatus, VideoStored


@dataclass(frozen=True, slots=True)
class Rendition:
    """A file made from the original, `{name}.mp4` beside it. `bitrate` in bits per second, `codecs` as in RFC 6381."""

    name: RenditionName
    width: int
    height: int
    frame_rate: float
    size: int
    bitrate: int
    codecs: str


@dataclass(frozen=True, slots=True)
class StoredVideo:
    """A video whose bytes are on this node's disk. Ids are text, `stored_at` is in Unix seconds.

    A practice video has no lesson (''), and its owner's id as its course. A lesson's file is kept as videos are, with
    no duration and no size of picture. `plays` says whether browsers play the original as it is; `replaces` is the
    video that plays in the lesson until this one is ready, or ''. One that came late, another having been first in the
    lesson on another node, replaces nothing but itself: it is in nobody's way.
    """

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
    kind: VideoKind = "course"
    title: str = ""
    plays: bool = True
    replaces: str = ""
    status: VideoStatus = "processing"
    reason: str = ""
    renditions: tuple[Rendition, ...] = ()

    @property
    def came_late(self) -> bool:
        return self.replaces == self.id

    def refused(self, reason: str) -> Self:
        """As it is once the VPS would have nothing become of it."""
        return replace(self, status="error", reason=reason, replaces=self.id if self.kind == "course" else "")

    def rendition(self, name: str) -> Rendition | None:
        return next((made for made in self.renditions if made.name == name), None)

    def announcement(self) -> VideoStored:
        """What the VPS is told of it."""
        return VideoStored.model_validate(
            {
                "video_id": self.id,
                "video_kind": self.kind,
                "title": self.title,
                "lesson_id": self.lesson_id or None,
                "course_id": self.course_id,
                "owner_id": self.owner_id,
                "size": self.size,
                "sha256": self.sha256,
                "media_type": self.media_type,
                "duration_s": self.duration_s,
                "status": self.status,
                "reason": self.reason,
                "renditions": [
                    RenditionMade(
                        name=made.name, width=made.width, height=made.height, size=made.size, bitrate=made.bitrate
                    )
                    for made in self.renditions
                ],
                "replaces": self.replaces or None,
                "stored_at": self.stored_at,
            }
        )

    def to_json(self) -> bytes:
        return _JSON.dump_json(self)

    @classmethod
    def from_json(cls, text: bytes) -> Self:
        """Raises ValueError."""
        return _JSON.validate_json(text)  # type: ignore[return-value]

    def to_row(self) -> tuple[Any, ...]:
        """The values of `COLUMNS`."""
        values = {name: getattr(self, name) for name in COLUMNS}
        return tuple((values | {"renditions": _RENDITIONS.dump_json(self.renditions).decode()}).values())

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Raises ValueError for one that makes no sense."""
        values = {name: row[name] for name in COLUMNS}
        values |= {"plays": bool(row["plays"]), "renditions": _RENDITIONS.validate_json(row["renditions"])}
        return cls(**values)


_JSON = TypeAdapter(StoredVideo)
_RENDITIONS = TypeAdapter(tuple[Rendition, ...])
COLUMNS = tuple(field.name for field in fields(StoredVideo))
SELECT_VIDEOS = f"SELECT {', '.join(COLUMNS)} FROM videos"  # noqa: S608
"""All of them, for `from_row`; which ones is to be added."""
