from uuid import UUID

from shared.schemas import Out


class CaptionsOut(Out):
    """`language` as RFC 5646 writes it, `size` in bytes, as kept."""

    video_id: UUID
    language: str
    size: int
