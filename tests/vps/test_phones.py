"""Phones: proved by a code that is sent to them, changed with the password, and never guessed."""

import asyncio
import dataclasses
import re
from collections.abc import Iterator
from email import message_from_bytes
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.processes import free_port
from tests.vps.people import (
    PASSWORD,
    Person,
    confirm,
    done,
    make_student,
    make_teacher,
    refused,
    signed_in,
    student_form,
)
from tests.vps.running import Vps
from vps_service.mail.templates import TEMPLATES
from vps_service.phones.errors import PhoneProviderUnreachable
from vps_service.phones.senders import LocalSender
from vps_service.phones.texts import CODE, IN_USE, REPLACED

pytestmark = pytest.mark.anyio

NILE, DELTA = "+201001234567", "+201227654321"


class Network:
    """The provider, and every phone that it reaches."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.is_down = False

    async def send(self, phone: str, text: str) -> None:
        if self.is_down:
            raise PhoneProviderUnreachable
        self.sent.append((phone, text))

    def text(self, phone: str) -> str:
        """The last one that came to this phone."""
        return [text for to, text in self.sent if to == phone][-1]

    def code(self, phone: str) -> str:
        """In the last text."""
        (found,) = re.findall(r"\b[0-9]{6}\b", self.text(phone))
        return str(found)


@pytest.fixture
def network(vps: Vps) -> Network:
    network = Network()
    vps.app.state.vps = dataclasses.replace(vps.app.state.vps, phones=network)
    return network


async def with_phone(vps: Vps, username: str = "sara", phone: str = NILE) -> Person:
    form = student_form(username, phone=phone, email=None)
    return signed_in(vps, done(await vps.http.post("/api/auth/register", json=form), 201))


async def send(person: Person) -> dict[str, Any]:
    sent: dict[str, Any] = done(await person.post("/api/auth/verify-phone/send"), 202)
    return sent


async def enter(person: Person, code: str) -> Any:
    return await person.post("/api/auth/verify-phone", {"code": code})


async def ask(person: Person, phone: str, password: str = PASSWORD) -> Any:
    return await person.post("/api/users/me/phone", {"new_phone": phone, "password": password})


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06d}"


async def test_the_code_verifies_the_phone_and_from_then_on_a_follow_counts(vps: Vps, network: Network) -> None:
    teacher, sara = await make_teacher(vps), await with_phone(vps)
    done(await sara.put("/api/teachers/omar/follow"))
    assert (await send(sara))["phone"] == NILE
    assert done(await teacher.get("/api/auth/me"))["followers"] == 0
    assert done(await enter(sara, network.code(NILE)))["phone"] == NILE
    assert done(await teacher.get("/api/auth/me"))["followers"] == 1
    refused(await sara.post("/api/auth/verify-phone/send"), 409, "phone_already_verified")
    assert (await vps.row("SELECT email_verified_at FROM users WHERE username = 'sara'"))["email_verified_at"] is None


async def test_five_wrong_codes_void_the_right_one(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await send(sara)
    right = network.code(NILE)
    for _ in range(5):
        refused(await enter(sara, other_than(right)), 422, "wrong_code")
    refused(await enter(sara, right), 409, "no_code")
    await send(sara)
    done(await enter(sara, network.code(NILE)))


async def test_of_many_guesses_at_once_five_are_looked_at(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await send(sara)
    guess = other_than(network.code(NILE))
    answers = await asyncio.gather(*(enter(sara, guess) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [*[409] * 7, *[422] * 5]


async def test_a_code_is_good_once(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await send(sara)
    answers = await asyncio.gather(*(enter(sara, network.code(NILE)) for _ in range(8)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 7]


async def test_a_code_has_its_ten_minutes(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await send(sara)
    await vps.rows("UPDATE phone_codes SET expires_at = now()")
    refused(await enter(sara, network.code(NILE)), 409, "no_code")


async def test_only_the_newest_code_counts(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await send(sara)
    older = network.code(NILE)
    await send(sara)
    if older != network.code(NILE):
        refused(await enter(sara, older), 422, "wrong_code")
    done(await enter(sara, network.code(NILE)))


async def test_a_code_is_its_own_users(vps: Vps, network: Network) -> None:
    sara, ali = await with_phone(vps), await with_phone(vps, "ali", DELTA)
    await send(sara)
    refused(await enter(ali, network.code(NILE)), 409, "no_code")
    await send(ali)
    if network.code(NILE) != network.code(DELTA):
        refused(await enter(ali, network.code(NILE)), 422, "wrong_code")


async def test_an_account_without_a_phone_is_sent_nothing(vps: Vps, network: Network) -> None:
    sara = await make_student(vps)
    refused(await sara.post("/api/auth/verify-phone/send"), 409, "no_phone")
    refused(await enter(sara, "123456"), 409, "no_code")
    assert network.sent == []


async def test_another_phone_needs_the_password_and_its_code_and_the_old_one_is_told(
    vps: Vps, network: Network
) -> None:
    sara = await with_phone(vps)
    refused(await ask(sara, DELTA, "wrong"), 403, "wrong_password")
    assert network.sent == []
    await confirm(vps, sara)
    assert done(await ask(sara, "+20 122-765 4321"), 202)["phone"] == DELTA
    assert done(await sara.get("/api/auth/me"))["phone"] == NILE
    assert done(await enter(sara, network.code(DELTA)))["phone"] == DELTA
    assert [phone for phone, _ in network.sent] == [DELTA, NILE]
    assert "another phone" in network.sent[-1][1]
    for login, status in ((DELTA, 200), (NILE, 401)):
        answer = await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD})
        assert answer.status_code == status
    await with_phone(vps, "ali", NILE)  # which is free for others by now


async def test_messages_are_in_the_language_of_the_account(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await confirm(vps, sara)
    for locale, code, replaced in (
        ("ar-EG", "رمزك في TopTank", "رقم هاتف آخر"),
        ("fr", "is your TopTank code", "another phone"),
        ("ar", "رمزك في TopTank", "رقم هاتف آخر"),
    ):
        done(await sara.patch("/api/users/me", {"locale": locale}))
        old = done(await sara.get("/api/auth/me"))["phone"]
        new = DELTA if old == NILE else NILE
        done(await ask(sara, new), 202)
        assert (code in network.sent[-1][1], network.sent[-1][0]) == (True, new)
        done(await enter(sara, network.code(new)))
        assert (replaced in network.sent[-1][1], network.sent[-1][0]) == (True, old)
    done(await ask(await with_phone(vps, "ali", "+201000000009"), "+201000000010"), 202)
    assert "is your TopTank code" in network.sent[-1][1]


@pytest.mark.parametrize("text", [CODE, IN_USE, REPLACED])
def test_every_message_is_there_in_each_language_of_the_mails(text: dict[str, str]) -> None:
    languages = {language for wordings in TEMPLATES.values() for language in wordings}
    assert set(text) == languages
    assert len({"{code}" in words for words in text.values()}) == 1


async def test_an_old_phone_that_nobody_proved_is_not_told(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    done(await ask(sara, DELTA), 202)
    done(await enter(sara, network.code(DELTA)))
    assert [phone for phone, _ in network.sent] == [DELTA]


async def test_a_phone_can_be_added_where_there_was_none(vps: Vps, network: Network) -> None:
    sara = await make_student(vps)
    done(await ask(sara, NILE), 202)
    assert done(await enter(sara, network.code(NILE)))["phone"] == NILE
    assert len(network.sent) == 1
    refused(await ask(sara, NILE), 409, "phone_already_verified")


async def test_whose_a_phone_is_already_only_its_owner_learns(vps: Vps, network: Network) -> None:
    await confirm(vps, await with_phone(vps, "ali", DELTA))
    sara = await with_phone(vps)
    free, taken = done(await ask(sara, "+201000000001"), 202), done(await ask(sara, DELTA), 202)
    assert set(taken) == set(free) == {"phone", "expires_at"}
    assert "yours already" in network.text(DELTA)
    for _ in range(5):
        refused(await enter(sara, "123456"), 422, "wrong_code")
    refused(await enter(sara, "123456"), 409, "no_code")
    phones = await vps.rows("SELECT username, phone FROM users ORDER BY username")
    assert [(row["username"], row["phone"]) for row in phones] == [("ali", DELTA), ("sara", NILE)]


async def test_so_it_is_with_a_phone_that_was_given_at_registration(vps: Vps, network: Network) -> None:
    await confirm(vps, await with_phone(vps, "ali"))
    sara = await with_phone(vps)
    assert (await send(sara))["phone"] == NILE
    assert not re.search("[0-9]{6}", network.text(NILE))
    refused(await enter(sara, "123456"), 422, "wrong_code")


async def test_of_twenty_who_prove_one_phone_at_once_one_has_it(vps: Vps, network: Network) -> None:
    """Those who claimed it when they registered, and those who change to it."""
    people = [await make_student(vps, f"student{number}") for number in range(10)]
    people += [await with_phone(vps, f"student{number}") for number in range(10, 20)]
    codes = []
    for number, person in enumerate(people):
        done(await (ask(person, NILE) if number < 10 else person.post("/api/auth/verify-phone/send")), 202)
        codes.append(network.code(NILE))
        await vps.rows("DELETE FROM rate_limits")
    answers = await asyncio.gather(*(enter(person, code) for person, code in zip(people, codes, strict=True)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 19]
    assert len(await vps.rows("SELECT 1 FROM users WHERE phone_verified_at IS NOT NULL")) == 1


async def test_a_provider_that_is_down_is_said_and_asked_again(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    network.is_down = True
    problem = await sara.post("/api/auth/verify-phone/send")
    refused(problem, 503, "phone_provider_unreachable")
    assert int(problem.headers["retry-after"]) > 0
    network.is_down = False
    await send(sara)
    done(await enter(sara, network.code(NILE)))


async def test_an_old_phone_that_cannot_be_told_is_replaced_all_the_same(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    await confirm(vps, sara)
    done(await ask(sara, DELTA), 202)
    network.is_down = True
    assert done(await enter(sara, network.code(DELTA)))["phone"] == DELTA


async def test_nobody_is_sent_codes_without_end(vps: Vps, network: Network) -> None:
    sara = await with_phone(vps)
    for _ in range(5):
        await send(sara)
    answer = await sara.post("/api/auth/verify-phone/send")
    refused(answer, 429, "too_many_requests")
    ali = await make_student(vps, "ali")
    refused(await ask(ali, NILE), 429, "too_many_requests")  # not by way of another account either
    assert len(network.sent) == 5


async def test_neither_the_database_nor_the_log_has_a_code(
    vps: Vps, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    sara = await with_phone(vps)
    await send(sara)
    code = network.code(NILE)
    refused(await enter(sara, other_than(code)), 422, "wrong_code")
    (kept,) = await vps.rows("SELECT code_hash, attempts, created_at::text FROM phone_codes")
    assert code.encode() not in kept["code_hash"]
    assert not [record for record in caplog.records if code in record.getMessage() or code in repr(vars(record))]


async def test_where_nothing_is_sent_to_phones_that_is_said(vps: Vps) -> None:
    sara = await with_phone(vps)
    refused(await sara.post("/api/auth/verify-phone/send"), 409, "phones_not_offered")
    refused(await ask(sara, DELTA), 409, "phones_not_offered")


class Caught:
    """What an SMTP server was given."""

    def __init__(self) -> None:
        self.mails: list[bytes] = []

    async def handle_DATA(self, _: Any, __: Any, envelope: Any) -> str:  # noqa: N802 - as aiosmtpd calls it
        self.mails.append(envelope.content)
        return "250 caught"


@pytest.fixture
def catcher() -> Iterator[tuple[Caught, int]]:
    caught = Caught()
    controller = Controller(caught, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield caught, controller.port
    controller.stop()


async def test_on_this_machine_the_mail_catcher_shows_what_a_phone_would(catcher: tuple[Caught, int]) -> None:
    caught, port = catcher
    await LocalSender("127.0.0.1", port).send(NILE, "123456 is your code")
    (mail,) = map(message_from_bytes, caught.mails)
    assert NILE in str(mail["Subject"])
    assert "123456" in str(mail.get_payload())


async def test_without_a_mail_catcher_it_is_unreachable() -> None:
    with pytest.raises(PhoneProviderUnreachable):
        await LocalSender("127.0.0.1", free_port()).send(NILE, "123456 is your code")


async def test_who_does_not_know_the_password_uses_up_nobody_s_codes(vps: Vps, network: Network) -> None:
    sara, thief = await with_phone(vps), await with_phone(vps, "ali", DELTA)
    for _ in range(6):
        refused(await ask(thief, NILE, "wrong"), 403, "wrong_password")
    await send(sara)


async def test_cases_6_and_14_a_code_that_a_thief_asked_for_does_not_outlive_another_password(
    vps: Vps, network: Network
) -> None:
    sara = await with_phone(vps)
    done(await ask(sara, DELTA), 202)
    chosen = {"old_password": PASSWORD, "new_password": "another long pass phrase"}
    done(await sara.post("/api/auth/change-password", chosen), 204)
    refused(await enter(sara, network.code(DELTA)), 409, "no_code")
    await send(sara)
    done(await enter(sara, network.code(NILE)))
