from typing import Literal
from uuid import UUID

from shared.schemas import Moment, Out
from vps_service.nodes.models import Node


class NodeOut(Out):
    """A node as it last described itself. `feed_lag` is how many changes it has still to hear of."""

    id: str
    url: str | None
    state: Literal["up", "silent", "removed"]
    seen_at: Moment | None
    capacity_bytes: int | None
    bytes_free: int | None
    bytes_stored: int | None
    videos: int | None
    missing_videos: int
    grants: int | None
    outbox_depth: int | None
    outbox_age_s: float | None
    outbox_set_aside: int | None
    feed_lag: int | None
    trust_age_s: float | None
    clock_skew_s: float | None
    reconciled_at: Moment | None

    @classmethod
    def from_row(cls, node: Node, state: str, *, head: int, missing: int) -> "NodeOut":
        """`head` is the newest change there is."""
        told = {name: node.report.get(name) for name in cls.model_fields if name in node.report}
        position = node.report.get("feed_position")
        shown = dict.fromkeys(cls.model_fields) | told
        shown |= {
            "id": node.id,
            "url": node.url,
            "state": state,
            "seen_at": node.seen_at,
            "missing_videos": missing,
            "feed_lag": None if position is None else max(0, head - position),
            "reconciled_at": node.reconciled_at,
        }
        return cls.model_validate(shown)


class UploadPlace(Out):
    """Where to send a video: POST its bytes to `uri`, or, to be able to resume, create it at `resumable_uri` (tus)."""

    node: str
    uri: str
    resumable_uri: str

    @classmethod
    def on(cls, node: Node, query: str) -> "UploadPlace":
        return cls(node=node.id, uri=f"{node.url}/videos?{query}", resumable_uri=f"{node.url}/uploads")


class LessonUploadPlace(UploadPlace):
    """`files_uri` takes the lesson's files."""

    files_uri: str

    @classmethod
    def of_lesson(cls, node: Node, lesson_id: UUID) -> "LessonUploadPlace":
        place, query = UploadPlace.on(node, f"lesson_id={lesson_id}"), f"lesson_id={lesson_id}"
        return cls(**place.__dict__, files_uri=f"{node.url}/files?{query}")
