"""The log of sign-ins and of privileged acts: written in the transaction of what it tells of."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.logs import request_id
from vps_service.audit.models import Act, AuditEvent
from vps_service.clients import current_address
from vps_service.db import Sessions


async def record(
    session: AsyncSession,
    what: Act,
    *,
    actor_id: UUID | None = None,
    subject: UUID | str | None = None,
    **details: Any,
) -> None:
    """Who did what to whom; from where, and in which request, is known here. `details` name no person and no secret."""
    session.add(
        AuditEvent(
            what=what,
            actor_id=actor_id,
            subject=None if subject is None else str(subject),
            details=details,
            address=current_address(),
            request_id=request_id(),
        )
    )
    await session.flush()


async def record_alone(
    sessions: Sessions, what: Act, *, actor_id: UUID | None = None, subject: UUID | str | None = None, **details: Any
) -> None:
    """In a transaction of its own: of what came to nothing here, or is about to happen elsewhere."""
    async with sessions() as session, session.begin():
        await record(session, what, actor_id=actor_id, subject=subject, **details)
