"""How often somebody may try to sign in, to register, and to go on: counted by who asks, and by whom they ask about.

A login is counted as it was typed, whether there is such an account or not: so nobody learns that from it.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vps_service.accounts.errors import TooManyPasswords, TotpRequired
from vps_service.accounts.queries import as_stored
from vps_service.clients import current_subscriber
from vps_service.db import Sessions
from vps_service.limits import actions as limits
from vps_service.limits.rules import HOUR_S, QUARTER_S, Limit
from vps_service.settings import VpsSettings


@asynccontextmanager
async def counted_login(sessions: Sessions, settings: VpsSettings, login: str) -> AsyncIterator[None]:
    """Around an attempt to sign in; one that does not fail is not counted as a failure. Raises TooManyRequests.

    Who guesses from one address is stopped before all sign-ins to the account are, its owner's too.
    """
    account, client = as_stored(login), current_subscriber()
    failures = [
        Limit("login_failures_of_client", client, settings.login_failures_per_client, QUARTER_S),
        Limit("login_failures", f"{account}\0{client}", settings.login_failures, QUARTER_S),
    ]
    attempt = Limit("logins", account, settings.logins_per_account, HOUR_S)
    await limits.take_all(sessions, [*failures, attempt])
    try:
        yield
    except TotpRequired:  # the password was right
        await limits.give_back(sessions, failures)
        raise
    except TooManyPasswords:  # no password was looked at
        await limits.give_back(sessions, [*failures, attempt])
        raise
    await limits.give_back(sessions, failures)


async def count_registration(sessions: Sessions, settings: VpsSettings) -> None:
    """Raises TooManyRequests."""
    most = settings.registrations_per_client
    await limits.take(sessions, "registrations", current_subscriber(), most=most, per_s=HOUR_S)


async def count_refresh(sessions: Sessions, settings: VpsSettings) -> None:
    """Raises TooManyRequests."""
    most = settings.refreshes_per_client
    await limits.take(sessions, "refreshes", current_subscriber(), most=most, per_s=QUARTER_S)


async def count_mail(sessions: Sessions, settings: VpsSettings) -> None:
    """Before a link is mailed, whether or not there is somebody to mail it to. Raises TooManyRequests."""
    await limits.take(sessions, "mails", current_subscriber(), most=settings.mails_per_client, per_s=HOUR_S)
