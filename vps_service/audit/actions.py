"""The log of sign-ins and of privileged acts: written in the transaction of what it tells of."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.logs import request_id
from vps_service.audit.models import Act, AuditEvent
from vps_service.clients import current_address
from vps_service.db import Sessions

LEAST_DAYS = 30
"""For so long everything stays; the database sees to it."""
TRIMMED_AT_ONCE = 50_000
TRIM = text("SELECT trim_audit_events(:trimming, :before, :most)")


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
    """In a transaction of its own: of what came to nothing here."""
    async with sessions() as session, session.begin():
        await record(session, what, actor_id=actor_id, subject=subject, **details)


async def trim(sessions: Sessions, before: datetime) -> int:
    """Forget what was done before that moment; how many events. Each part of it is told of in the log itself."""
    gone, some = 0, 1
    while some:
        async with sessions() as session, session.begin():
            some = await session.scalar(TRIM, {"trimming": uuid7(), "before": before, "most": TRIMMED_AT_ONCE}) or 0
        gone += some
    return gone
