"""How much one account may write in an hour: counted before it is written, whatever becomes of it."""

from fastapi import Depends

from vps_service.accounts.current import CurrentUser
from vps_service.db import Transactions
from vps_service.limits import actions as limits
from vps_service.limits.rules import HOUR_S
from vps_service.vps import CurrentVps


async def _count_change(user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> None:
    await limits.take(sessions, "changes", str(user.id), most=vps.settings.changes_per_user, per_s=HOUR_S)


async def _count_draft(user: CurrentUser, sessions: Transactions, vps: CurrentVps) -> None:
    await limits.take(sessions, "drafts", str(user.id), most=vps.settings.drafts_per_user, per_s=HOUR_S)


CHANGE = Depends(_count_change)
"""For routes whose changes every node takes, one after the other: a ban or a refund may be behind them."""
DRAFT = Depends(_count_draft)
"""For routes that add something which nobody else has to agree to."""
