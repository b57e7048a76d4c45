"""Following: a hundred at once, each at the same teachers in the same order, which is the worst for their counts."""

import psycopg

from tests.bench import load
from tests.bench.checks import seed_people
from tests.bench.figures import Figure, waits
from tests.bench.people import seed_accounts, sign_in
from tests.bench.rig import Rig

CLIENTS, TEACHERS = 100, 20
ALREADY = 15_000


def _requests(vps: str, clients: list[dict[str, str]], teachers: list[str], method: str) -> list[bytes]:
    """Of so many connections each has those of one client."""
    return [
        load.request(f"{vps}/api/teachers/{teacher}/follow", client, method)
        for teacher in teachers
        for client in clients
    ]


def _counts(database: str, teachers: list[str]) -> set[int]:
    with psycopg.connect(database) as connection:
        wanted = "SELECT followers FROM teachers JOIN users ON users.id = user_id WHERE username = ANY(%s)"
        return {int(count) for (count,) in connection.execute(wanted, (teachers,))}


def _follow(rig: Rig, clients: list[dict[str, str]], teachers: list[str], already: int = 0) -> load.Load:
    """Raises ValueError when a count is not exact afterwards."""
    done = load.run(
        rig.vps, _requests(rig.vps, clients, teachers, "PUT"), status=200, seconds=None, connections=len(clients)
    )
    if (found := _counts(rig.stack.database.url(), teachers)) != {already + len(clients)}:
        raise ValueError(f"{len(clients)} clients followed, and counted are {found}")
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
    alone = [wait for client in clients for wait in _one_after_the_other(rig, client, one_by_one)]
    together = _follow(rig, clients, at_once)
    many = _follow(rig, clients, [famous], ALREADY)
    crowd = f"{CLIENTS} clients at once"
    rate = Figure(f"follows, {crowd}, against one", round(together.rate, 1), "/s")
    one = round(len(alone) / sum(alone), 1)
    return [
        Figure(rate.name, rate.value, rate.unit, one, round(together.rate / one, 2)),
        *waits(f"follow, {crowd}", together.waits),
        *waits(f"the same of a teacher whom {ALREADY:,} follow already", many.waits),
    ]


def _one_after_the_other(rig: Rig, client: dict[str, str], teachers: list[str]) -> list[float]:
    requests = _requests(rig.vps, [client], teachers, "PUT")
    return load.run(rig.vps, requests, status=200, seconds=None, connections=1).waits
