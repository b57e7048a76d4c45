"""How often somebody may try to sign in, to register, and to go on: counted by who asks, and by whom they ask about.

A login is counted as it was typed, whether there is such an account or not: so nobody learns that from it. The accounts
that it may lead to are counted too, each by whichever of its logins it was tried. Whoever is over that alone is not
told, but answered as if the password were wrong, after the same work: a refusal would tell that a username and an
e-mail are of one person.

What everybody together tried too often is no hindrance where somebody has signed in to the account lately: a few
strangers who guess and guess would else keep its owner out. Only who knows the password sees the difference.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.errors import BadCredentials, TooManyPasswords, TotpRequired
from vps_service.accounts.models import User
from vps_service.accounts.queries import as_stored, most_meant, users_by_login
from vps_service.clients import current_subscriber
from vps_service.db import Sessions
from vps_service.limits import actions as limits
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.rules import DAY_S, HOUR_S, QUARTER_S, Limit
from vps_service.settings import VpsSettings

KNOWN_FOR_S = 30 * DAY_S


@dataclass(frozen=True)
class Candidate:
    """Whom a login may mean, if anybody; in vain unless it `is_heard`, whatever the password."""

    user: User | None
    failures: Limit
    attempts: Limit
    is_counted: bool
    is_heard: bool


@dataclass
class Attempt:
    """To sign in as one of the `candidates`, as many for every login of its shape; `met` is who knew the password."""

    candidates: list[Candidate]
    met: Candidate | None = None


@asynccontextmanager
async def counted_login(sessions: Sessions, settings: VpsSettings, login: str) -> AsyncIterator[Attempt]:
    """Around an attempt to sign in; one that does not fail is not counted as a failure. Raises TooManyRequests.

    Who guesses from one address is stopped before all sign-ins to the account are, its owner's too.
    """
    client, typed = current_subscriber(), as_stored(login)
    failures = [
        Limit("login_failures_of_client", client, settings.login_failures_per_client, QUARTER_S),
        _failures(settings, f"login {typed}", client),
    ]
    attempts = [_attempts(settings, f"login {typed}")]
    await limits.take_all(sessions, failures)
    refusal = await _refusal(sessions, attempts)
    attempt = Attempt(await _candidates(sessions, settings, typed, client, is_refused=refusal is not None))
    try:
        yield attempt
    except BadCredentials:
        if refusal:
            raise refusal from None
        raise
    except TotpRequired:  # the password was right
        await _no_failure(sessions, failures, attempt)
        raise
    except TooManyPasswords:  # no password was looked at
        await limits.give_back(sessions, failures if refusal else [*failures, *attempts])
        for one in attempt.candidates:
            if one.is_counted:
                await limits.give_back(sessions, [one.failures, one.attempts])
        raise
    await _no_failure(sessions, failures, attempt)
    if attempt.met:
        await _know_again(sessions, attempt.met, client)


async def _refusal(sessions: Sessions, attempts: list[Limit]) -> TooManyRequests | None:
    try:
        await limits.take_all(sessions, attempts)
    except TooManyRequests as refusal:
        return refusal
    return None


async def _candidates(
    sessions: Sessions, settings: VpsSettings, typed: str, client: str, *, is_refused: bool
) -> list[Candidate]:
    """Who may be meant, counted, and nobody in the place of who is missing: by as much work for whatever was typed."""
    async with sessions() as session:
        users = await users_by_login(session, typed)
    nobodies = [f"nobody {place} {typed}" for place in range(len(users), most_meant(typed))]
    candidates = []
    for user, whose in [*((user, f"user {user.id}") for user in users), *((None, nobody) for nobody in nobodies)]:
        is_known = await limits.is_used_up(sessions, _known(whose, client))
        attempts = _attempts(settings, f"known {whose}" if is_known else whose)
        of_account = _failures(settings, whose, client), attempts
        is_counted = await limits.took_all(sessions, of_account)
        is_heard = is_counted and (is_known or not is_refused)
        candidates.append(Candidate(user, *of_account, is_counted=is_counted, is_heard=is_heard))
    return candidates


async def _know_again(sessions: Sessions, met: Candidate, client: str) -> None:
    """Where somebody has signed in, for as long as if it were the first time."""
    if met.user:
        known = _known(f"user {met.user.id}", client)
        async with sessions() as session, session.begin():
            await limits.forget(session, [known])
        await limits.took_all(sessions, [known])


async def _no_failure(sessions: Sessions, failures: list[Limit], attempt: Attempt) -> None:
    """It was none for whose password it was; for the other one whom it may have meant it was."""
    await limits.give_back(sessions, [*failures, *([attempt.met.failures] if attempt.met else [])])


async def forget_guesses(session: AsyncSession, settings: VpsSettings, user: User) -> None:
    """Have nobody's guesses be in the way of a new password: at the account, and at its username, which is public.

    Not at its addresses: whoever had guessed at one would see that it is an account's.
    """
    client, logins = current_subscriber(), (f"user {user.id}", f"login {user.username}")
    for whose in logins:
        attempts = _attempts(settings, whose), _attempts(settings, f"known {whose}")
        await limits.forget(session, [_failures(settings, whose, client), *attempts])


def _failures(settings: VpsSettings, whose: str, client: str) -> Limit:
    return Limit("login_failures", _alone(whose, client), settings.login_failures, QUARTER_S)


def _attempts(settings: VpsSettings, whose: str) -> Limit:
    """From everybody, or from all clients together from which somebody signed in lately."""
    return Limit("logins", whose, settings.logins_per_account, HOUR_S)


def _known(whose: str, client: str) -> Limit:
    """Used up by who has signed in from there."""
    return Limit("known_clients", _alone(whose, client), 1, KNOWN_FOR_S)


def _alone(whose: str, client: str) -> str:
    return f"{whose}\0{client}"


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
