"""Guessing at an account keeps nobody out of it who has signed in from where they are (abuse case 11)."""

import pytest

from tests.vps.people import PASSWORD, done, make_student, refused, student_form
from tests.vps.running import Vps
from tests.vps.test_limits import PROXY, log_in, pass_time
from tests.vps.test_uniform_answers import statements

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.settings(login_failures=0, login_failures_per_client=0, logins_per_account=4, trusted_proxies=[PROXY]),
]

HOME, ELSEWHERE = ({"X-Forwarded-For": address} for address in ("2001:db8:1:2::7", "2001:db8:1:3::7"))
HOME_TOMORROW = {"X-Forwarded-For": "2001:db8:1:2::8"}
SARA = "sara@example.com"


async def guess(vps: Vps, login: str = "sara") -> None:
    for number in range(10):
        await log_in(vps, login, **{"X-Forwarded-For": f"203.0.113.{number}"})


@pytest.mark.parametrize("login", ["sara", SARA])
async def test_who_has_signed_in_from_there_is_let_in_while_strangers_guess(vps: Vps, login: str) -> None:
    await make_student(vps)
    done(await log_in(vps, login, PASSWORD, **HOME))
    for _ in range(2):
        for guessed in ("sara", SARA):
            await guess(vps, guessed)
        done(await log_in(vps, login, PASSWORD, **HOME_TOMORROW))
    refused(await log_in(vps, login, PASSWORD, **ELSEWHERE), 429, "too_many_requests")


async def test_who_does_not_know_the_password_is_answered_there_as_everywhere(vps: Vps) -> None:
    """Or it would tell that there is such an account, and that somebody has signed in to it from here."""
    await make_student(vps)
    done(await log_in(vps, "sara", PASSWORD, **HOME))
    asked, answers = [], []
    for login in ("sara", "nobody"):
        await guess(vps, login)
        with statements(vps) as said:
            answers.append(refused(await log_in(vps, login, **HOME), 429, "too_many_requests"))
        asked.append(said)
    assert asked[0] == asked[1]
    assert answers[0] | {"request_id": ""} == answers[1] | {"request_id": ""}


async def test_there_too_as_many_are_heard_as_may_and_no_more_from_wherever_it_is_known(vps: Vps) -> None:
    await make_student(vps)
    for known in (HOME, ELSEWHERE):
        done(await log_in(vps, "sara", PASSWORD, **known))
    await guess(vps)
    for _ in range(2):
        for known in (HOME, ELSEWHERE):
            await log_in(vps, **known)
    refused(await log_in(vps, "sara", PASSWORD, **HOME), 429, "too_many_requests")


async def test_a_client_is_forgotten_after_a_month_without_a_sign_in(vps: Vps) -> None:
    await make_student(vps)
    done(await log_in(vps, "sara", PASSWORD, **HOME))
    for days in (29, 29, 31):
        await pass_time(vps, days * 24 * 3600)
        await guess(vps)
        signed_in = await log_in(vps, "sara", PASSWORD, **HOME)
        assert signed_in.status_code == (200 if days < 30 else 429)


async def test_a_wrong_password_makes_nobody_known(vps: Vps) -> None:
    await make_student(vps)
    await log_in(vps, **HOME)
    await guess(vps)
    refused(await log_in(vps, "sara", PASSWORD, **HOME), 429, "too_many_requests")


async def test_who_signs_in_by_an_address_that_is_anothers_too_guesses_no_more_often_at_the_other(vps: Vps) -> None:
    await make_student(vps)
    form = student_form("thief", email=SARA, password="a thief has a zither too")
    done(await vps.http.post("/api/auth/register", json=form), 201)
    done(await log_in(vps, SARA, "a thief has a zither too", **ELSEWHERE))
    for _ in range(4):
        await log_in(vps, SARA, **ELSEWHERE)
    refused(await log_in(vps, "sara", PASSWORD, **HOME), 401, "bad_credentials")
