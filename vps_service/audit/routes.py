from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page, Text
from vps_service import paging
from vps_service.accounts.current import CurrentAdmin
from vps_service.accounts.errors import WrongRole
from vps_service.audit import queries
from vps_service.audit.models import Act
from vps_service.audit.schemas import AuditEventOut
from vps_service.db import Session

router = APIRouter(prefix="/api/admin", tags=["admin"])

Subject = Annotated[Text | None, Query(max_length=64, description="Id of whom or what something was done to.")]


@router.get("/audit", summary="Sign-ins and privileged acts", responses=responses(NotAuthenticated, WrongRole))
async def list_audit_events(
    _: CurrentAdmin,
    session: Session,
    what: Act | None = None,
    actor_id: UUID | None = None,
    subject: Subject = None,
    limit: paging.Limit = 20,
    cursor: paging.Cursor = None,
) -> Page[AuditEventOut]:
    """Newest first. Nothing in there is ever changed; what is old, an operator can trim."""
    after = paging.after(cursor)
    rows = await queries.events(session, what=what, actor_id=actor_id, subject=subject, after=after, limit=limit)
    return paging.page(rows, limit, AuditEventOut.model_validate)
