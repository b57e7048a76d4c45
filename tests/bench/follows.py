"""Following: a hundred at once, each at the same teachers in the same order, which is the worst for their counts."""

import psycopg

from tests.bench import load
from tests.bench.checks import seed_people
from tests.bench.figures import Figure, waits
from tests.bench.people import seed_accounts, sign_in
from tests.bench.rig import Rig

CLIENTS, TEACHERS = 100, 10
BUSY = 503
ALREADY = 15_000


def _requests(vps: str, clients: list[dict[str, str]], teachers: list[str]) -> list[bytes]:
    """Of so many connections each has those of one client."""
    return [
        load.request(f"{vps}/api/teachers/{teacher}/follow", client, "PUT")
        for teacher in teachers
        for client in clients
    ]


def _counted(database: str, teachers: list[str]) -> int:
    with psycopg.connect(database) as connection:
        wanted = "SELECT sum(followers) FROM teachers JOIN users ON users.id = user_id WHERE username = ANY(%s)"
        (followers,) = connection.execute(wanted, (teachers,)).fetchone() or (0,)
    return int(followers)


def _follow(rig: Rig, clients: list[dict[str, str]], teachers: list[str]) -> load.Load:
    """Raises ValueError when the counts are not exact afterwards."""
    database = rig.stack.database.url()
    requests, before = _requests(rig.vps, clients, teachers), _counted(database, teachers)
    done = load.run(rig.vps, requests, status=200, seconds=None, connections=len(clients), refusal=BUSY)
    if (found := _counted(database, teachers) - before) != done.requests - done.refused:
        raise ValueError(f"{done.requests} times somebody followed, {done.refused} not, and counted are {found}")
    return done


def _make_known(database: str, teacher: str) -> None:
    """Followed by many, who are all counted."""
    people = [(user_id,) for user_id, _ in seed_people(database, "student", ALREADY, None)]
    with psycopg.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT id FROM users WHERE username = %s", (teacher,))
        (teacher_id,) = cursor.fetchone() or ()
        cursor.executemany("UPDATE users SET email_verified_at = now() WHERE id = %s", people)
        follows = "INSERT INTO follows (teacher_id, follower_id, counts) VALUES (%s, %s, true)"
        cursor.executemany(follows, [(teacher_id, follower) for (follower,) in people])
        cursor.execute("UPDATE teachers SET followers = %s WHERE user_id = %s", (ALREADY, teacher_id))
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE users, follows")


def measure(rig: Rig) -> list[Figure]:
    database = rig.stack.database.url()
    clients = sign_in(rig.vps, seed_accounts(database, CLIENTS, cost=4))
    teachers = seed_accounts(database, 2 * TEACHERS + 1, "teacher", cost=4)
    famous, one_by_one, at_once = teachers[0], teachers[1::2], teachers[2::2]
    _make_known(database, famous)
    alone = [wait for client in clients for wait in _follow(rig, [client], one_by_one).waits]
    together = _follow(rig, clients, at_once)
    many = _follow(rig, clients, [famous])
    crowd, one = f"{CLIENTS} clients at once", round(len(alone) / sum(alone), 1)
    return [
        Figure(f"follows, {crowd}, against one", round(together.rate, 1), "/s", one, round(together.rate / one, 2)),
        Figure("the same, told to come back later instead", together.refused + many.refused, ""),
        *waits(f"follow, {crowd}", together.waits),
        *waits(f"the same of a teacher whom {ALREADY:,} follow already", many.waits),
    ]
