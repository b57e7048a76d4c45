"""What a permission check costs: remembered against a bare JSON route, asked of the VPS, and with many remembered."""

import secrets
from pathlib import Path
from uuid import UUID, uuid4

import psycopg

from shared.tokens import load_private_key, sign_access
from tests.bench import load
from tests.bench.figures import Figure, compared
from tests.bench.rig import Rig

FEW, KEYS, TEACHERS = 10, 10_000, 1_000
LIFE_S = 7200


def seed_people(url: str, role: str, count: int, course: str | None) -> list[tuple[UUID, str]]:
    """Rows in bulk: students with a key to the course, if one is given, or verified teachers."""
    run = secrets.token_hex(3)
    people = [(uuid4(), f"{role}.{run}.{number}") for number in range(count)]
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO users (id, role, name, username, email, password_hash) VALUES (%s, %s, %s, %s, %s, '!')",
            [(user_id, role, name, name, f"{name}@bench.invalid") for user_id, name in people],
        )
        if role == "teacher":
            verified = "INSERT INTO teachers (user_id, verified_at) VALUES (%s, now())"
            cursor.executemany(verified, [(user_id,) for user_id, _ in people])
        elif course:
            key = "INSERT INTO keys (id, user_id, course_id, status) VALUES (%s, %s, %s, 'active')"
            cursor.executemany(key, [(uuid4(), user_id, course) for user_id, _ in people])
    return people


def authorised(rig: Rig, people: list[tuple[UUID, str]], role: str) -> list[dict[str, str]]:
    key = load_private_key(Path(rig.folder / "secrets" / "access_key").read_text())
    tokens = (sign_access(key, user_id, name, role, LIFE_S) for user_id, name in people)
    return [{"Authorization": f"Bearer {token}"} for token in tokens]


def measure(rig: Rig, video_id: str) -> list[Figure]:
    database = rig.stack.database.url()
    stream, permission = f"{rig.cloud}/videos/{video_id}/stream", f"{rig.cloud}/uploads/permission"
    bare = [load.request(f"{rig.cloud}/health/live", {})]
    first = {"Range": "bytes=0-0"}

    def rate(url: str, requests: list[bytes], status: int) -> float:
        return load.run(url, requests, status=status).rate

    def json_rate() -> float:
        return rate(rig.cloud, bare, 200)

    mine = [load.request(stream, {**rig.student, **first})]
    standing = [load.request(permission, rig.teacher)]
    figures = [
        compared(
            "remembered grant, one byte streamed, against a bare JSON route",
            "req/s",
            ">= 0.6",
            lambda: rate(stream, mine, 206),
            json_rate,
        ),
        compared(
            "remembered teacher, uploads/permission, against a bare JSON route",
            "req/s",
            ">= 0.6",
            lambda: rate(permission, standing, 200),
            json_rate,
        ),
    ]
    students = authorised(rig, seed_people(database, "student", KEYS, rig.course), "student")
    many = [load.request(stream, {**student, **first}) for student in students]
    cold = load.run(stream, many, status=206, seconds=None)
    figures.append(Figure("not remembered: asked of the VPS, then kept", round(cold.rate, 1), "req/s"))
    teachers = authorised(rig, seed_people(database, "teacher", TEACHERS, rig.course), "teacher")
    standings = [load.request(permission, teacher) for teacher in teachers]
    load.run(permission, standings, status=200, seconds=None)
    figures += [
        compared(
            f"check with {KEYS:,} keys remembered, against {FEW}",
            "req/s",
            ">= 0.9",
            lambda: rate(stream, many, 206),
            lambda: rate(stream, many[:FEW], 206),
        ),
        compared(
            f"permission with {TEACHERS:,} teachers remembered, against {FEW}",
            "req/s",
            ">= 0.9",
            lambda: rate(permission, standings, 200),
            lambda: rate(permission, standings[:FEW], 200),
        ),
    ]
    return figures
