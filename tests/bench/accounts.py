"""Signing in against bare bcrypt, who-am-I against a bare query, and what others feel of a flood of logins."""

import http.client
import os
import statistics
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, islice

import bcrypt
import psycopg

from tests.bench import beside, load
from tests.bench.bare_vps import SELECT_1
from tests.bench.figures import ALTERNATIONS, Figure, compared, p99
from tests.bench.people import COST, LIMITED, logins, seed_accounts, seed_courses, sign_in, vps_beside
from tests.bench.rig import PASSWORD, Rig

LOGINS_S, PROBED_S = 10, 8
SIGNED_IN, COURSES_A_TEACHER = 100, 5
FLOOD_PER_S, FLOODED = 100, 2000
"""Twenty-five times what a core can hash."""
PAUSE_S = 0.01
SETTLED_S = 1.0
HASHING = max(1, (os.cpu_count() or 2) - 1)
"""Cores that the VPS gives to passwords."""
LOGINS = 10 * LOGINS_S * HASHING
"""More than can be done in one run."""


def bare_bcrypt(seconds: int) -> float:
    """Checks a second, on as many cores as the VPS hashes on."""
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(COST))
    until = time.monotonic() + seconds

    def check(_: int) -> int:
        done = 0
        while bcrypt.checkpw(PASSWORD.encode(), hashed) and time.monotonic() < until:
            done += 1
        return done

    with ThreadPoolExecutor(HASHING) as threads:
        return sum(threads.map(check, range(HASHING))) / seconds


def login_rate(vps: str, usernames: list[str]) -> Figure:
    """Each account once, so that no limit of one is reached."""
    left = iter(logins(vps, usernames))

    def rate() -> float:
        some = list(islice(left, LOGINS))
        return load.run(vps, some, status=200, seconds=LOGINS_S, connections=3 * HASHING).rate

    name = f"logins, bcrypt {COST} on {HASHING} of {os.cpu_count()} cores, against bare bcrypt on as many"
    return compared(name, "/s", ">= 0.9", rate, lambda: bare_bcrypt(LOGINS_S))


def who_am_i(vps: str, people: list[dict[str, str]], role: str) -> Figure:
    mine = [load.request(f"{vps}/api/auth/me", headers) for headers in people]
    bare = [load.request(f"{vps}{SELECT_1}", {})]
    return compared(
        f"auth/me of a {role}, against SELECT 1 on the same pool",
        "req/s",
        ">= 0.6",
        lambda: load.run(vps, mine, status=200).rate,
        lambda: load.run(vps, bare, status=200).rate,
    )


@contextmanager
def flooded(rig: Rig, vps: str, usernames: list[str]) -> Iterator[None]:
    """`usernames` are asked for in turn, and none so often that a limit would refuse it before it is hashed."""
    names = rig.folder / "flooded"
    names.write_text("\n".join(usernames))
    command = [sys.executable, "-P", "-m", "tests.bench.flood", vps, str(names), str(FLOOD_PER_S)]
    with beside.running(command, None, rig.folder / "flood.log"):
        time.sleep(2)  # it has begun by then, and what waits has gathered
        yield
    _settle(vps, usernames[-1])


def _settle(vps: str, username: str) -> None:
    """Until nobody's password waits to be hashed any more."""
    took = SETTLED_S
    while took >= SETTLED_S:
        time.sleep(SETTLED_S)
        started = time.perf_counter()
        sign_in(vps, [username])
        took = time.perf_counter() - started


def probe(vps: str, paths: list[str], headers: dict[str, str]) -> list[float]:
    """Seconds that each answer took to somebody who asks for these in turn, with pauses."""
    connection = http.client.HTTPConnection(*load.address_of(vps), timeout=30)
    waits, until = [], time.monotonic() + PROBED_S
    for path in cycle(paths):
        started = time.perf_counter()
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        waits.append(time.perf_counter() - started)
        if answer.status != http.client.OK:
            raise ValueError(f"{path}: {answer.status}")
        if time.monotonic() > until:
            connection.close()
            return waits
        time.sleep(PAUSE_S)
    raise AssertionError


def _hashed(database: str) -> int:
    """Wrong passwords so far that were really looked at; one that is refused before is not written down."""
    counted = "SELECT count(*) FROM audit_events WHERE what = 'sign_in_failed'"
    with psycopg.connect(database) as connection:
        (count,) = connection.execute(counted).fetchone() or ()
    return int(count)


def other_routes(rig: Rig, vps: str, usernames: list[str], headers: dict[str, str], bcrypt_rate: float) -> list[Figure]:
    """That the flood came through to the hashing is a figure too."""
    paths, database = ["/api/courses", "/api/auth/me", f"/api/courses/{rig.course}"], rig.stack.database.url()
    hashed = []

    def beside_a_flood() -> float:
        with flooded(rig, vps, usernames):
            before, began = _hashed(database), time.monotonic()
            waits = probe(vps, paths, headers)
            hashed.append((_hashed(database) - before) / (time.monotonic() - began))
        return p99(waits) * 1000

    others = compared(
        f"p99 of other routes during {FLOOD_PER_S} logins a second, against idle",
        "ms",
        "<= 3",
        beside_a_flood,
        lambda: p99(probe(vps, paths, headers)) * 1000,
    )
    rate = statistics.median(hashed)
    name = "passwords of these that were hashed, against bare bcrypt"
    return [others, Figure(name, round(rate, 2), "/s", bcrypt_rate, round(rate / bcrypt_rate, 3))]


def measure(rig: Rig) -> list[Figure]:
    """With every limit as it is where nobody set it."""
    database = rig.stack.database.url()
    students = sign_in(rig.vps, seed_accounts(database, SIGNED_IN, cost=4))
    names = seed_accounts(database, SIGNED_IN, "teacher", cost=4)
    seed_courses(database, names, COURSES_A_TEACHER)
    teachers = sign_in(rig.vps, names)
    with vps_beside(rig, **LIMITED) as vps:
        signed_in = login_rate(vps, seed_accounts(database, ALTERNATIONS * LOGINS, cost=COST))
        assert signed_in.baseline
        return [
            signed_in,
            who_am_i(vps, students, "student"),
            who_am_i(vps, teachers, f"teacher of {COURSES_A_TEACHER} courses"),
            *other_routes(rig, vps, seed_accounts(database, FLOODED, cost=COST), students[0], signed_in.baseline),
        ]
