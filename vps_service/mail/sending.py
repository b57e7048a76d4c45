"""Sending what is queued. Every VPS process does it, and each mail is sent by one of them.

Whoever takes a mail moves on when it is due, past the time that sending may take, and deletes it once the server has
it. A process that dies in between leaves it to another, which sends it with the same Message-ID.
"""

import asyncio
import logging
import random
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import aiosmtplib
from sqlalchemy import delete, func, select, update

from vps_service.db import Sessions
from vps_service.mail.letters import letter
from vps_service.mail.models import Mail
from vps_service.settings import VpsSettings

log = logging.getLogger(__name__)

TIMEOUT_S = 20.0
"""For each answer of the mail server."""
SENT_WITHIN_S = 60.0
TAKEN_FOR = timedelta(minutes=3)
LONGEST_WAIT_S = 300.0
REFUSED_AT_MOST = 3
"""How often a server may refuse a mail for good: it may be the server that is set up wrongly, and soon rightly."""
REFUSED = 500
ENDED_WITHIN_S = 4.0


class ServerFailed(Exception):
    """The mail server cannot be reached or takes nothing from us: the next mail would fare alike."""


async def send_due(sessions: Sessions, settings: VpsSettings) -> int:
    """Send all that is due; how many were sent. What was not is due again later."""
    sent, smtp = 0, _client(settings)
    try:
        while mail := await _take(sessions):
            if await _to_its_end(_deliver(sessions, smtp, mail, settings)):
                sent += 1
        if smtp.is_connected:
            with suppress(aiosmtplib.SMTPException, OSError):
                await smtp.quit()
    except ServerFailed as error:
        log.warning("the mail server takes no mail", extra={"reason": str(error)})
    finally:
        smtp.close()
    return sent


async def forget_useless(sessions: Sessions) -> int:
    """Mails that came to nothing in time; how many."""
    async with sessions() as session, session.begin():
        gone = await session.scalars(delete(Mail).where(Mail.useful_until <= func.now()).returning(Mail.id))
        return len(gone.all())


def _client(settings: VpsSettings) -> aiosmtplib.SMTP:
    password = settings.smtp_password
    return aiosmtplib.SMTP(
        hostname=settings.smtp_host,
        port=settings.smtp_port,
        username=settings.smtp_username,
        password=password.get_secret_value() if password else None,
        local_hostname=urlsplit(settings.vps_url).hostname,
        use_tls=settings.smtp_security == "tls",
        start_tls=settings.smtp_security == "starttls",
        timeout=TIMEOUT_S,
    )


async def _take(sessions: Sessions) -> Mail | None:
    due = (
        select(Mail.id)
        .where(Mail.due_at <= func.now(), Mail.useful_until > func.now())
        .order_by(Mail.due_at)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    taken = (
        update(Mail)
        .where(Mail.id == due.scalar_subquery())
        .values(due_at=func.now() + TAKEN_FOR, tries=Mail.tries + 1)
        .returning(Mail)
    )
    async with sessions() as session, session.begin():
        return (await session.scalars(taken)).one_or_none()


async def _to_its_end(sending: Coroutine[Any, Any, bool]) -> bool:
    """Also when we are told to stop: a mail that the server has taken must not stay in the queue for another."""
    task = asyncio.ensure_future(sending)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task], timeout=ENDED_WITHIN_S)
        task.cancel()
        raise


async def _deliver(sessions: Sessions, smtp: aiosmtplib.SMTP, mail: Mail, settings: VpsSettings) -> bool:
    """Whether it was sent. Raises ServerFailed."""
    try:
        async with asyncio.timeout(SENT_WITHIN_S):
            message = letter(mail, settings)
            if not smtp.is_connected:
                await smtp.connect()
            await smtp.send_message(message)
    except Exception as error:
        is_for_good = _is_refusal(error) and mail.tries >= REFUSED_AT_MOST
        await (_forget(sessions, mail.id) if is_for_good else _put_off(sessions, mail))
        if _is_the_servers(error):
            raise ServerFailed(type(error).__name__) from error
        told = {"mail": mail.id, "template": mail.template, "given_up": is_for_good, "reason": type(error).__name__}
        log.warning("mail not sent", extra=told | {"status": _status(error)})
        return False
    await _forget(sessions, mail.id)
    return True


def _status(error: Exception) -> int | None:
    """What the server answered (RFC 5321, 4.2.1); its words would repeat the address."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        return error.recipients[0].code
    return error.code if isinstance(error, aiosmtplib.SMTPResponseException) else None


def _is_refusal(error: Exception) -> bool:
    """Of this mail, and for good."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPDataError):
        return (_status(error) or 0) >= REFUSED
    return isinstance(error, aiosmtplib.SMTPNotSupported)


def _is_the_servers(error: Exception) -> bool:
    """Rather than this mail's own."""
    about_the_mail = aiosmtplib.SMTPRecipientsRefused | aiosmtplib.SMTPDataError | aiosmtplib.SMTPNotSupported
    return isinstance(error, aiosmtplib.SMTPException | OSError | TimeoutError) and not isinstance(
        error, about_the_mail
    )


async def _put_off(sessions: Sessions, mail: Mail) -> None:
    wait_s = min(2.0 ** min(mail.tries, 16), LONGEST_WAIT_S) * random.uniform(0.75, 1.25)  # noqa: S311
    later = update(Mail).where(Mail.id == mail.id, Mail.tries == mail.tries)
    async with sessions() as session, session.begin():
        await session.execute(later.values(due_at=func.now() + timedelta(seconds=wait_s)))


async def _forget(sessions: Sessions, mail_id: UUID) -> None:
    async with sessions() as session, session.begin():
        await session.execute(delete(Mail).where(Mail.id == mail_id))
