"""Whether the time that an answer takes tells if there is such a user, or who has an address."""

import http.client
import json
import random
import time
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from tests.bench.figures import Figure, waits
from tests.bench.load import address_of
from tests.bench.people import COST, LIMITED, LOGIN, email_of, from_elsewhere, seed_accounts, vps_beside
from tests.bench.rig import PASSWORD, Rig

TIMES, TIMES_DEAR, WARMED_BY = 300, 120, 20
"""So many that who guesses would be right more than 0.6 of the time by chance once in a hundred runs at most."""
WRONG = "correct horse battery stable"

Asked = Callable[[str], tuple[str, dict[str, str]]]
"""The path and the body that ask about this user."""


def told_apart(some: Sequence[float], others: Sequence[float]) -> float:
    """How often whoever bets on the longer of two waits, or always on the shorter, would be right: 0.5 is chance.

    The area under the ROC curve (Mann and Whitney's U by the number of pairs), folded.
    """
    ordered = sorted(others)
    above = sum((bisect_left(ordered, one) + bisect_right(ordered, one)) / 2 for one in some)
    share = above / (len(some) * len(others))
    return max(share, 1 - share)


def by_login(username: str) -> tuple[str, dict[str, str]]:
    return LOGIN, {"login": username, "password": WRONG}


def by_email(username: str) -> tuple[str, dict[str, str]]:
    return LOGIN, {"login": email_of(username), "password": WRONG}


def by_forgotten_password(username: str) -> tuple[str, dict[str, str]]:
    return "/api/auth/forgot-password", {"login": email_of(username)}


def by_registering(username: str) -> tuple[str, dict[str, str]]:
    """By a name that nobody has, with an e-mail that this user has proved to be theirs."""
    form = {"name": "Sami", "username": f"r.{username}", "email": email_of(username), "password": PASSWORD}
    return "/api/auth/register", form


def _timed(connection: http.client.HTTPConnection, path: str, body: dict[str, str]) -> tuple[float, int]:
    """Seconds, and the status."""
    headers = {"Content-Type": "application/json", **from_elsewhere()}
    started = time.perf_counter()
    connection.request("POST", path, json.dumps(body), headers)
    answer = connection.getresponse()
    answer.read()
    return time.perf_counter() - started, answer.status


def compared_answers(vps: str, name: str, asked: Asked, known: Sequence[str]) -> list[Figure]:
    """Both kinds in random order, over one connection. Raises ValueError when the answers themselves differ."""
    connection = http.client.HTTPConnection(*address_of(vps), timeout=60)
    unknown = [f"nobody.{username}" for username in known]
    for number in range(WARMED_BY):
        _timed(connection, *asked(f"warm.{number}"))
    everybody = random.sample([*known, *unknown], len(known) + len(unknown))
    seconds: dict[str, float] = {}
    statuses = set()
    for username in everybody:
        seconds[username], status = _timed(connection, *asked(username))
        statuses.add(status)
    connection.close()
    if len(statuses) != 1:
        raise ValueError(f"{name} is answered by {sorted(statuses)}")
    known_s, unknown_s = ([seconds[username] for username in some] for some in (known, unknown))
    return [
        *waits(f"{name}, known user against unknown", known_s, unknown_s),
        Figure(f"{name}: told apart by time (0.5: not)", round(told_apart(known_s, unknown_s), 3), "", target="<= 0.6"),
    ]


CHEAP = (
    ("login, bcrypt 4", by_login),
    ("login by e-mail, bcrypt 4", by_email),
    ("registration with their e-mail, bcrypt 4", by_registering),
    ("forgotten password", by_forgotten_password),
)
"""With the cheapest bcrypt, where whatever else differs would show."""


def measure(rig: Rig) -> list[Figure]:
    """With every limit as it is where nobody set it, for their work to be in the times."""
    database, figures = rig.stack.database.url(), []
    with vps_beside(rig, **LIMITED, TOPTANK_BCRYPT_COST="4") as vps:
        for name, asked in CHEAP:
            figures += compared_answers(vps, name, asked, seed_accounts(database, TIMES, cost=4))
    with vps_beside(rig, **LIMITED) as vps:
        known = seed_accounts(database, TIMES_DEAR, cost=COST)
        figures += compared_answers(vps, f"login, bcrypt {COST}", by_login, known)
    return figures
