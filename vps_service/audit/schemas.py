from typing import Any
from uuid import UUID

from shared.schemas import Moment, Out


class AuditEventOut(Out):
    """`actor_id` is null for who was not signed in and, where `address` is too, for an operator at the server."""

    id: UUID
    created_at: Moment
    what: str
    actor_id: UUID | None
    subject: str | None
    details: dict[str, Any]
    address: str | None
    request_id: str | None
