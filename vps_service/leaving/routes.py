from datetime import timedelta

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from shared.problems import NotAuthenticated, responses
from vps_service.accounts.current import CurrentUser
from vps_service.accounts.errors import TooManyPasswords, WrongPassword
from vps_service.audit import actions as audit
from vps_service.db import Session, Transactions
from vps_service.leaving import actions
from vps_service.leaving.errors import LastAdmin
from vps_service.leaving.export import MEDIA_TYPE, export
from vps_service.leaving.schemas import Leave, LeavingOut
from vps_service.limits import actions as limits
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.rules import HOUR_S
from vps_service.vps import CurrentVps

EXPORTS_AN_HOUR = 20
"""Each reads everything that a user has."""

router = APIRouter(prefix="/api/users/me", tags=["leaving"])


@router.get(
    "/export",
    summary="Everything of mine",
    response_class=StreamingResponse,
    responses={**responses(NotAuthenticated, TooManyRequests), 200: {"content": {MEDIA_TYPE: {}}}},
)
async def export_account(
    user: CurrentUser, session: Session, sessions: Transactions, vps: CurrentVps
) -> StreamingResponse:
    """A zip of JSON files, and the profile image. Videos are named with the node where their owner downloads them."""
    await limits.take(sessions, "exports", str(user.id), most=EXPORTS_AN_HOUR, per_s=HOUR_S)
    await audit.record(session, "data_exported", actor_id=user.id, subject=user.id)
    headers = {
        "Content-Disposition": f'attachment; filename="toptank-{user.username}.zip"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(export(sessions, vps.images, user), media_type=MEDIA_TYPE, headers=headers)


@router.delete(
    "",
    status_code=202,
    summary="Delete my account",
    responses=responses(NotAuthenticated, WrongPassword, LastAdmin, TooManyRequests, TooManyPasswords),
)
async def leave(body: Leave, user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> LeavingOut:
    """Signed out everywhere at once; signing in before `due_at` takes it back.

    Then videos and everything personal are deleted. Keys and payments stay as receipts of nobody, courses are archived.
    """
    settings = vps.settings
    leaving = await actions.leave(
        sessions,
        vps.hasher,
        user,
        body.password,
        grace=timedelta(days=settings.leaving_grace_days),
        required=settings.followers_required,
    )
    return LeavingOut.model_validate(leaving)
