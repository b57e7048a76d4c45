"""Nobody learns from an answer, nor from the work that it takes, whether there is an account (abuse case 10)."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from tests.vps.people import make_student
from tests.vps.running import Vps
from vps_service.clients import current_address

pytestmark = pytest.mark.anyio

LIMITED = {"login_failures": 5, "login_failures_per_client": 50, "logins_per_account": 50}


@contextmanager
def statements(vps: Vps) -> Iterator[list[str]]:
    """What the database is asked for requests inside, without the values; jobs ask of other things meanwhile."""
    said: list[str] = []
    engine = vps.sessions.kw["bind"].sync_engine

    def hear(_: Any, __: Any, statement: str, *___: Any) -> None:
        if current_address():
            said.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield said
    finally:
        event.remove(engine, "before_cursor_execute", hear)


@pytest.mark.settings(**LIMITED)
async def test_a_login_that_fails_is_the_same_work_and_the_same_answer_whoever_it_names(vps: Vps) -> None:
    await make_student(vps)
    banned = await make_student(vps, "banned")
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=banned.id)
    await make_student(vps, "seeded")
    await vps.rows("UPDATE users SET password_hash = '!' WHERE username = 'seeded'")
    asked, answers = [], []
    for login in ("sara", "sara@example.com", "banned", "seeded", "nobody", "nobody@example.com", "+201001234567"):
        with statements(vps) as said:
            answer = await vps.http.post("/api/auth/login", json={"login": login, "password": "wrong"})
        asked.append(said)
        answers.append({name: value for name, value in answer.json().items() if name != "request_id"})
    assert len(asked[0]) > 3
    assert all(said == asked[0] for said in asked)
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.settings(**LIMITED)
async def test_so_is_one_that_is_refused_for_being_tried_too_often(vps: Vps) -> None:
    await make_student(vps)
    asked = []
    for login in ("sara", "nobody"):
        for _ in range(6):
            with statements(vps) as said:
                answer = await vps.http.post("/api/auth/login", json={"login": login, "password": "wrong"})
        assert answer.status_code == 429
        asked.append(said)
    assert asked[0] == asked[1]
