from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.audit.models import Act, AuditEvent


async def events(
    session: AsyncSession,
    *,
    what: Act | None,
    actor_id: UUID | None,
    subject: str | None,
    after: UUID | None,
    limit: int,
) -> Sequence[AuditEvent]:
    """Newest first; one more than `limit`."""
    wanted = select(AuditEvent)
    if what:
        wanted = wanted.where(AuditEvent.what == what)
    if actor_id:
        wanted = wanted.where(AuditEvent.actor_id == actor_id)
    if subject:
        wanted = wanted.where(AuditEvent.subject == subject)
    if after:
        wanted = wanted.where(AuditEvent.id < after)
    return (await session.scalars(wanted.order_by(AuditEvent.id.desc()).limit(limit + 1))).all()
