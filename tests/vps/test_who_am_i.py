"""What `GET auth/me` answers, and how little it asks the database for it: clients begin with it."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import event

from tests.vps.people import done, make_student, make_teacher
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

DRAFT = {"title": "Oud", "price": {"amount": 10_000, "currency": "EGP"}}


class Asked(list[str]):
    """What the VPS asks its database about people outside of a transaction, and in one."""

    def __init__(self, vps: Vps) -> None:
        self.in_transactions: list[str] = []
        engines = ((vps.sessions.questions, self), (vps.sessions.kw["bind"], self.in_transactions))
        for engine, asked in engines:
            event.listen(engine.sync_engine, "before_cursor_execute", partial(self._note, asked))

    @staticmethod
    def _note(asked: list[str], _: Any, __: Any, statement: str, *___: Any) -> None:
        if "FROM users" in statement or "FROM teachers" in statement:
            asked.append(statement)


async def test_a_teacher_sees_followers_balance_and_courses_the_newest_first(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    (oldest, gone, newest) = [done(await teacher.post("/api/courses", DRAFT), 201)["id"] for _ in range(3)]
    done(await teacher.delete(f"/api/courses/{gone}"), 204)
    await vps.rows("UPDATE teachers SET followers = 7, verified_at = now()")
    shown = done(await teacher.get("/api/auth/me"))
    assert (shown["username"], shown["followers"], shown["verified"]) == ("omar", 7, True)
    assert shown["balance"] == {"amount": 0, "currency": "EGP"}
    assert shown["courses"] == [{"id": id_, "title": "Oud", "status": "draft"} for id_ in (newest, oldest)]


async def test_it_asks_the_database_once_whoever_it_is(vps: Vps) -> None:
    student, teacher = await make_student(vps), await make_teacher(vps)
    done(await teacher.post("/api/courses", DRAFT), 201)
    for person in (student, teacher):
        asked = Asked(vps)
        done(await person.get("/api/auth/me"))
        assert (len(asked), asked.in_transactions) == (1, [])  # each of these is two more round trips
