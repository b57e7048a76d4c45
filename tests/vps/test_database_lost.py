"""PostgreSQL goes away under a running service, or takes no writes, and comes back."""

import asyncio

import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.databases import execute
from tests.vps.people import done, make_student, make_teacher, refused, student_form
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

CLOSE = "ALTER DATABASE {} ALLOW_CONNECTIONS false"
END_ALL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
OPEN = "ALTER DATABASE {} ALLOW_CONNECTIONS true"
NO_WRITES = "ALTER DATABASE {} SET default_transaction_read_only = on"
WRITES = "ALTER DATABASE {} RESET default_transaction_read_only"


async def test_without_its_database_every_route_says_503_and_heals_by_itself(vps: Vps, database_url: str) -> None:
    student = await make_student(vps)
    name = make_url(database_url).database or ""
    execute(database_url, sql.SQL(CLOSE).format(sql.Identifier(name)))
    execute(database_url, sql.SQL(END_ALL).format(sql.Literal(name)))
    try:
        for target in ("/api/courses", "/api/auth/me", "/api/keys", "/health/ready"):
            answer = await student.get(target)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_unreachable"), target
            assert int(answer.headers["retry-after"]) > 0
        assert (await vps.http.get("/health/live")).status_code == 200
    finally:
        execute(database_url, sql.SQL(OPEN).format(sql.Identifier(name)))
    assert (await student.get("/api/auth/me")).status_code == 200


async def test_who_is_asking_is_found_out_though_every_connection_died(vps: Vps, database_url: str) -> None:
    """As when the database is started anew."""
    student, teacher = await make_student(vps), await make_teacher(vps)
    for person in (student, teacher):
        answers = [await person.get("/api/auth/me") for _ in range(2)]
        execute(database_url, sql.SQL(END_ALL).format(sql.Literal(make_url(database_url).database)))
        answers += await asyncio.gather(*(person.get("/api/auth/me") for _ in range(10)))
        assert [answer.status_code for answer in answers] == [200] * len(answers)


async def test_a_database_that_takes_no_writes_is_a_503_where_something_is_written(vps: Vps, database_url: str) -> None:
    """As a standby that nobody has promoted yet."""
    student = await make_student(vps)
    name = make_url(database_url).database or ""
    form = student_form("mona")
    execute(database_url, sql.SQL(NO_WRITES).format(sql.Identifier(name)))
    execute(database_url, sql.SQL(END_ALL).format(sql.Literal(name)))
    try:
        answer = await vps.http.post("/api/auth/register", json=form)
        refused(answer, 503, "database_unreachable")
        assert int(answer.headers["retry-after"]) > 0
        done(await student.get("/api/auth/me"))
    finally:
        execute(database_url, sql.SQL(WRITES).format(sql.Identifier(name)))
        execute(database_url, sql.SQL(END_ALL).format(sql.Literal(name)))
    done(await vps.http.post("/api/auth/register", json=form), 201)
