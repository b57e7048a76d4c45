"""Nobody learns from an answer, nor from the work that it takes, whether there is an account (abuse case 10)."""

import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import bcrypt
import httpx
import pytest
from sqlalchemy import event

from tests.vps.people import (
    PASSWORD,
    ask_to_teach,
    confirm,
    done,
    make_student,
    make_verified_student,
    signed_in,
    student_form,
    teacher_form,
)
from tests.vps.running import Vps
from vps_service.clients import current_address

pytestmark = pytest.mark.anyio

OWN = "a pass phrase of one's own"
PROVED, CLAIMED, FREE = "proved", "claimed", "free"
PHONES = {PROVED: "+201000000001", CLAIMED: "+201000000002", FREE: "+201000000003"}
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


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The hashes that passwords were held against."""
    against: list[bytes] = []
    checkpw = bcrypt.checkpw

    def noted(password: bytes, password_hash: bytes) -> bool:
        against.append(password_hash)
        return checkpw(password, password_hash)

    monkeypatch.setattr(bcrypt, "checkpw", noted)
    return against


USERNAMES = ("sara", "banned", "seeded", "nobody")
ADDRESSES = ("sara@example.com", "banned@example.com", "seeded@example.com", "nobody@example.com", "+201001234567")


@pytest.mark.settings(**LIMITED)
@pytest.mark.parametrize(("logins", "hashes"), [(USERNAMES, 1), (ADDRESSES, 2)])
async def test_a_login_that_fails_is_the_same_work_and_the_same_answer_whoever_it_names(
    vps: Vps, checked: list[bytes], logins: tuple[str, ...], hashes: int
) -> None:
    await make_student(vps)
    for number in range(3):
        form = student_form(f"student{number}", email="seeded@example.com")
        done(await vps.http.post("/api/auth/register", json=form), 201)
    banned = await make_student(vps, "banned")
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=banned.id)
    await make_student(vps, "seeded")
    await vps.rows("UPDATE users SET password_hash = '!' WHERE username = 'seeded'")
    asked, answers = [], []
    for login in logins:
        checked.clear()
        with statements(vps) as said:
            answer = await vps.http.post("/api/auth/login", json={"login": login, "password": "wrong"})
        assert len(checked) == hashes
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


@pytest.mark.settings(**LIMITED)
async def test_whether_two_logins_are_of_one_account_does_not_show_either(vps: Vps) -> None:
    """Once one of them was tried too often, another one of the same account is as anybody else's."""
    await make_student(vps)
    for _ in range(5):
        await vps.http.post("/api/auth/login", json={"login": "sara", "password": "wrong"})
    asked, answers = [], []
    for login in ("sara@example.com", "nobody@example.com"):
        for password in ("wrong", PASSWORD):
            with statements(vps) as said:
                answer = await vps.http.post("/api/auth/login", json={"login": login, "password": password})
            asked.append(said)
            answers.append({name: value for name, value in answer.json().items() if name != "request_id"})
    assert answers[0]["code"] == "bad_credentials"
    assert all(answer == answers[0] for answer in answers)
    assert all(said == asked[0] for said in asked)


@pytest.mark.settings(**LIMITED)
@pytest.mark.parametrize("kind", ["email", "phone"])
async def test_case_10_whoever_claims_an_address_signs_in_by_it_whether_or_not_it_is_anothers(
    vps: Vps, checked: list[bytes], kind: str
) -> None:
    await with_addresses(vps)
    for number, address in enumerate((FREE, CLAIMED, PROVED)):
        claimed = {"email": f"{address}@example.com", "phone": PHONES[address], "password": OWN}
        done(await vps.http.post("/api/auth/register", json=student_form(f"student{number}", **claimed)), 201)

    async def ask(number: int, address: str) -> httpx.Response:
        checked.clear()
        login = PHONES[address] if kind == "phone" else f"{address}@example.com"
        answer = await vps.http.post("/api/auth/login", json={"login": login, "password": OWN})
        assert len(checked) == 2
        assert answer.json()["user"]["username"] == f"student{number}"
        return answer

    await compared(vps, ask)


# --- registering ------------------------------------------------------------------------------------------------


async def with_addresses(vps: Vps) -> None:
    """Somebody who has proved theirs, and somebody who has not."""
    for name in (PROVED, CLAIMED):
        form = student_form(name, phone=PHONES[name])
        person = signed_in(vps, done(await vps.http.post("/api/auth/register", json=form), 201))
        if name == PROVED:
            await confirm(vps, person)


def shape(value: Any) -> Any:
    """What an answer is made of, whatever it says."""
    if isinstance(value, dict):
        return {name: shape(one) for name, one in value.items()}
    return [shape(one) for one in value] if isinstance(value, list) else type(value)


async def compared(vps: Vps, ask: Callable[[int, str], Awaitable[httpx.Response]]) -> None:
    """The same status, names and types of what is answered, and statements, for addresses of every kind."""
    asked, answers = [], []
    for number, address in enumerate((FREE, CLAIMED, PROVED)):
        with statements(vps) as said:
            answer = await ask(number, address)
        asked.append(said)
        answers.append((answer.status_code, shape(answer.json())))
    assert answers[0][0] < 300
    assert answers[1:] == answers[:1] * 2
    assert len(asked[0]) > 3
    assert asked[1:] == asked[:1] * 2


async def test_registering_as_a_student_is_the_same_whosever_the_addresses_are(vps: Vps) -> None:
    await with_addresses(vps)

    async def ask(number: int, address: str) -> httpx.Response:
        form = student_form(f"student{number}", email=f"{address}@example.com", phone=PHONES[address])
        return await vps.http.post("/api/auth/register", json=form)

    await compared(vps, ask)


async def test_so_is_registering_as_a_teacher(vps: Vps) -> None:
    await with_addresses(vps)

    async def ask(number: int, address: str) -> httpx.Response:
        form = teacher_form(f"teacher{number}", email=f"{address}@example.com", phone=PHONES[address])
        return await ask_to_teach(vps, form)

    await compared(vps, ask)


async def test_so_are_asking_for_another_link_and_for_another_address(vps: Vps) -> None:
    await with_addresses(vps)
    people = []
    for number, address in enumerate((FREE, CLAIMED, PROVED)):
        form = student_form(f"student{number}", email=f"{address}@example.com")
        people.append(signed_in(vps, done(await vps.http.post("/api/auth/register", json=form), 201)))
    await vps.rows("DELETE FROM proofs")
    await compared(vps, lambda number, _: people[number].post("/api/auth/verify-email/resend"))
    mona = await make_verified_student(vps, "mona")

    async def another(_: int, address: str) -> httpx.Response:
        wanted = {"new_email": f"{address}@example.com", "password": PASSWORD}
        return await mona.post("/api/users/me/email", wanted)

    await compared(vps, another)


class NoNetwork:
    """A provider whose messages come nowhere."""

    async def send(self, phone: str, text: str) -> None:
        """Lost."""


async def test_so_are_codes_for_phones(vps: Vps) -> None:
    await with_addresses(vps)
    vps.app.state.vps = dataclasses.replace(vps.app.state.vps, phones=NoNetwork())
    people = []
    for number, address in enumerate((FREE, CLAIMED, PROVED)):
        form = student_form(f"student{number}", phone=PHONES[address])
        people.append(signed_in(vps, done(await vps.http.post("/api/auth/register", json=form), 201)))
    await compared(vps, lambda number, _: people[number].post("/api/auth/verify-phone/send"))
    for person in people:
        for _ in range(5):
            assert (await person.post("/api/auth/verify-phone", {"code": "000000"})).status_code == 422
    mona = await make_verified_student(vps, "mona")

    async def another(_: int, address: str) -> httpx.Response:
        return await mona.post("/api/users/me/phone", {"new_phone": PHONES[address], "password": PASSWORD})

    await compared(vps, another)
