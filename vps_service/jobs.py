"""What the VPS does by itself: forget what is too old to matter, delete who wanted to go, and ask about payments that
nobody told of.

Every VPS process does it; doing it twice changes nothing.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

from vps_service import changes
from vps_service.accounts import proofs
from vps_service.accounts.images import ImageStore
from vps_service.accounts.sessions import forget_expired
from vps_service.db import Sessions
from vps_service.leaving.actions import finish_leavings
from vps_service.limits.actions import forget_full
from vps_service.mail import sending
from vps_service.nodes.actions import forget_spent_tokens
from vps_service.payments.actions import recheck_paid, recheck_pending
from vps_service.phones.actions import forget_expired as forget_phone_codes
from vps_service.playbacks.actions import forget_unseen
from vps_service.profiles import actions as profiles
from vps_service.vps import Vps

log = logging.getLogger(__name__)

SOON_S = 1.0
FAILED_S = 5.0
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 24 * 3600.0
AFTER_START_S = (1.0, 2.0)
"""When what is done once a minute or less begins: a start would otherwise take a connection for each at once."""
RECHECKED_AFTER_S = 120.0
LEAVINGS_EVERY_S = 5.0


async def every(seconds: float, job: Callable[[], Awaitable[object]]) -> None:
    """Until cancelled, beginning at once or soon; a failure is logged and the next time is another chance."""
    if seconds >= MINUTE_S:
        await asyncio.sleep(random.uniform(*AFTER_START_S))  # noqa: S311 - nobody is kept from guessing it
    has_failed = False
    while True:
        try:
            await job()
            has_failed = False
        except Exception as error:
            told = {"job": getattr(job, "__name__", str(job)), "reason": type(error).__name__}
            log.error("job failed", exc_info=None if has_failed else error, extra=told)
            has_failed = True
        await asyncio.sleep(max(seconds, FAILED_S) if has_failed else seconds)


async def tidy(sessions: Sessions) -> None:
    """Until cancelled."""

    async def forget_tokens() -> None:
        async with sessions() as session, session.begin():
            await forget_spent_tokens(session)
            await forget_phone_codes(session)

    await every(MINUTE_S, forget_tokens)


async def forget_limits(sessions: Sessions) -> None:
    """Until cancelled."""

    async def forget() -> None:
        await forget_full(sessions)

    await every(MINUTE_S, forget)


async def trim_changes(sessions: Sessions, kept_days: float) -> None:
    """Until cancelled."""

    async def trim() -> None:
        async with sessions() as session, session.begin():
            if gone := await changes.trim(session, timedelta(days=kept_days)):
                log.info("old changes forgotten", extra={"changes": gone})

    await every(HOUR_S, trim)


async def forget_expired_sessions(sessions: Sessions) -> None:
    """Until cancelled; some at a time, until none is left."""

    async def forget() -> None:
        gone = 1
        while gone:
            gone = await forget_expired(sessions)

    await every(HOUR_S, forget)


async def forget_unseen_playbacks(sessions: Sessions) -> None:
    """Until cancelled."""

    async def forget() -> None:
        async with sessions() as session, session.begin():
            if gone := await forget_unseen(session):
                log.info("playbacks that nobody saw forgotten", extra={"playbacks": gone})

    await every(HOUR_S, forget)


async def remove_stray_images(sessions: Sessions, images: ImageStore) -> None:
    """Until cancelled."""

    async def remove() -> None:
        if gone := await profiles.remove_stray_images(sessions, images, timedelta(hours=1)):
            log.info("pictures that were nobody's removed", extra={"pictures": gone})

    await every(HOUR_S, remove)


async def delete_accounts(sessions: Sessions, vps: Vps) -> None:
    """Until cancelled: of those who asked for it and did not come back."""

    async def delete() -> None:
        await finish_leavings(sessions, vps.images, vps.settings.followers_required)

    await every(LEAVINGS_EVERY_S, delete)


async def recheck_payments(sessions: Sessions, vps: Vps) -> None:
    """Until cancelled. Also how a database that was restored from a backup learns what was paid since."""
    provider = vps.provider
    if provider is None:
        return

    async def recheck() -> None:
        fee = vps.settings.platform_fee_percent
        if settled := await recheck_pending(sessions, provider, fee, RECHECKED_AFTER_S):
            log.info("payments settled", extra={"payments": settled})

    await every(MINUTE_S, recheck)


async def recheck_paid_payments(sessions: Sessions, vps: Vps) -> None:
    """Until cancelled, beginning at the start, which is when a database may have been set back."""
    provider = vps.provider
    if provider is None:
        return

    async def recheck() -> None:
        fee = vps.settings.platform_fee_percent
        if moved := await recheck_paid(sessions, provider, fee, timedelta(days=vps.settings.changes_kept_days)):
            log.warning("refunds and disputes that were missed", extra={"payments": moved})

    await every(DAY_S, recheck)


async def send_mails(sessions: Sessions, vps: Vps) -> None:
    """Until cancelled."""
    if vps.settings.smtp_host is None:
        log.warning("mails are queued and not sent: TOPTANK_SMTP_HOST is not set")
        return

    async def send() -> None:
        if sent := await sending.send_due(sessions, vps.settings):
            log.info("mails sent", extra={"mails": sent})

    await every(SOON_S, send)


async def forget_useless_mails(sessions: Sessions) -> None:
    """Until cancelled."""

    async def forget() -> None:
        if gone := await sending.forget_useless(sessions):
            log.warning("mails that could not be sent in time forgotten", extra={"mails": gone})

    await every(HOUR_S, forget)


async def answer_forgotten_passwords(sessions: Sessions, vps: Vps) -> None:
    """Until cancelled."""

    async def answer() -> None:
        await proofs.answer_forgotten(sessions, vps.settings)

    await every(SOON_S, answer)


async def forget_old_proofs(sessions: Sessions) -> None:
    """Until cancelled."""

    async def forget() -> None:
        async with sessions() as session, session.begin():
            await proofs.forget_old(session)

    await every(HOUR_S, forget)
