"""How often somebody may try: by account, by who really asks, and the same for all VPS processes (abuse case 11)."""

import asyncio
import dataclasses
import time
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.vps.people import PASSWORD, ask_to_teach, done, make_student, refused, student_form, teacher_form
from tests.vps.running import ORIGIN, Vps, running
from vps_service.accounts.passwords import Hasher
from vps_service.limits import actions as limits
from vps_service.limits.actions import _id
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.rules import Limit

pytestmark = pytest.mark.anyio

PROXY = "127.0.0.1"
"""Where the requests of these tests come from."""


async def log_in(
    vps: Vps | httpx.AsyncClient, login: str = "sara", password: str = "wrong", **headers: str
) -> httpx.Response:
    http = vps.http if isinstance(vps, Vps) else vps
    return await http.post("/api/auth/login", json={"login": login, "password": password}, headers=headers)


async def statuses(*answers: Any) -> list[int]:
    return [(await answer).status_code for answer in answers]


async def taken(vps: Vps, most: int, per_s: float = 3600, key: str = "a key") -> bool:
    try:
        await limits.take(vps.sessions, "test", key, most=most, per_s=per_s)
    except TooManyRequests:
        return False
    return True


async def pass_time(vps: Vps, seconds: float) -> None:
    await vps.rows("UPDATE rate_limits SET full_at = full_at - make_interval(secs => :s)", s=seconds)


# --- counting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 7, 10])
async def test_of_a_hundred_at_once_exactly_as_many_pass_as_may(vps: Vps, most: int) -> None:
    assert sum(await asyncio.gather(*(taken(vps, most) for _ in range(100)))) == most


async def test_keys_and_names_are_counted_apart(vps: Vps) -> None:
    assert [await taken(vps, 1), await taken(vps, 1), await taken(vps, 1, key="another")] == [True, False, True]
    await limits.take(vps.sessions, "another", "a key", most=1, per_s=60)
    await limits.take(vps.sessions, "tes", "t\0a key", most=1, per_s=60)


async def test_what_may_be_done_comes_back_bit_by_bit(vps: Vps) -> None:
    assert [await taken(vps, 4, 400) for _ in range(5)] == [True] * 4 + [False]
    await pass_time(vps, 101)
    assert [await taken(vps, 4, 400) for _ in range(2)] == [True, False]
    await pass_time(vps, 1000)
    assert [await taken(vps, 4, 400) for _ in range(5)] == [True] * 4 + [False], "no more than that is saved up"


async def test_a_refusal_says_from_when_on_it_would_be_none(vps: Vps) -> None:
    await taken(vps, 2, 100)
    await taken(vps, 2, 100)
    with pytest.raises(TooManyRequests) as refusal:
        await limits.take(vps.sessions, "test", "a key", most=2, per_s=100)
    wait_s = int(refusal.value.headers["Retry-After"])
    assert 0 < wait_s <= 50
    await pass_time(vps, wait_s)
    assert await taken(vps, 2, 100)


async def test_of_several_limits_all_are_taken_or_none(vps: Vps) -> None:
    both = [Limit("wide", "x", 5, 3600), Limit("narrow", "x", 1, 3600)]
    await limits.take_all(vps.sessions, both)
    for _ in range(10):
        with pytest.raises(TooManyRequests):
            await limits.take_all(vps.sessions, both)
    for _ in range(4):
        await limits.take(vps.sessions, "wide", "x", most=5, per_s=3600)


async def test_without_a_limit_nothing_is_counted(vps: Vps) -> None:
    assert all([await taken(vps, 0) for _ in range(20)])
    assert await vps.rows("SELECT * FROM rate_limits") == []


async def test_what_is_counted_is_forgotten_once_it_says_nothing(vps: Vps) -> None:
    await taken(vps, 2, 100, key="old")
    await pass_time(vps, 60)
    await taken(vps, 2, 100, key="new")
    await limits.forget_full(vps.sessions)
    assert len(await vps.rows("SELECT * FROM rate_limits")) == 1
    assert [await taken(vps, 2, 100, key="new") for _ in range(2)] == [True, False]


async def test_what_a_sign_in_holds_is_left_to_another_time(vps: Vps) -> None:
    """Whoever waits for it while keeping what the sign-in wants next would wait for ever."""
    for key in ("held", "free"):
        await taken(vps, 1, 100, key=key)
    async with vps.sessions() as session:
        held = _id(Limit("test", "held", 1, 100))
        await session.execute(text("SELECT 1 FROM rate_limits WHERE id = :id FOR KEY SHARE"), {"id": held})
        await pass_time(vps, 200)
        await limits.forget_full(vps.sessions)
        assert [row["id"] for row in await vps.rows("SELECT id FROM rate_limits")] == [held]
        await session.rollback()
    await limits.forget_full(vps.sessions)
    assert await vps.rows("SELECT 1 FROM rate_limits") == []


@pytest.mark.settings(login_failures=3)
async def test_the_database_keeps_nobodys_name_or_address_for_that(vps: Vps) -> None:
    await log_in(vps, "sara@example.com")
    rows = await vps.rows("SELECT * FROM rate_limits")
    assert len(rows) == 3, "what was typed, and the two that it may mean"
    for row in rows:
        assert {name: type(value).__name__ for name, value in row.items()} == {"id": "bytes", "full_at": "datetime"}
        assert len(row["id"]) == 32


# --- signing in -------------------------------------------------------------------------------------------------


@pytest.mark.settings(login_failures=10)
async def test_of_a_thousand_guesses_with_rotating_headers_few_are_heard(vps: Vps) -> None:
    await make_student(vps)
    began = time.monotonic()
    heard = 0
    for ten in range(100):
        headers = [
            {
                "X-Forwarded-For": f"198.51.100.{n}, 203.0.113.{ten}",
                "Forwarded": f"for=10.0.{ten}.{n}",
                "X-Real-IP": "::1",
            }
            for n in range(10)
        ]
        answers = await asyncio.gather(*(log_in(vps, **one) for one in headers))
        for answer in answers:
            if answer.status_code == 401:
                heard += 1
            else:
                refused(answer, 429, "too_many_requests")
                assert int(answer.headers["retry-after"]) > 0
    assert 10 <= heard <= 10 + (time.monotonic() - began) / 90 + 1
    refused(await log_in(vps, password=PASSWORD), 429, "too_many_requests")


@pytest.mark.settings(login_failures=3, trusted_proxies=[PROXY])
async def test_behind_a_trusted_proxy_each_client_is_counted_alone(vps: Vps) -> None:
    await make_student(vps)
    guesses = [log_in(vps, **{"X-Forwarded-For": f"6.6.6.{n}, 203.0.113.7"}) for n in range(5)]
    assert await statuses(*guesses) == [401] * 3 + [429] * 2, "what is left of the last entry anybody can write"
    owner = {"X-Forwarded-For": "203.0.113.8"}
    done(await log_in(vps, "sara", PASSWORD, **owner))


@pytest.mark.settings(login_failures=2, trusted_proxies=[PROXY])
async def test_an_ipv6_subscriber_is_one_client_however_many_addresses_they_have(vps: Vps) -> None:
    same = [log_in(vps, **{"X-Forwarded-For": f"2001:db8:1:2::{n}"}) for n in range(1, 4)]
    assert await statuses(*same) == [401, 401, 429]
    assert await statuses(log_in(vps, **{"X-Forwarded-For": "2001:db8:1:3::1"})) == [401]


@pytest.mark.settings(logins_per_account=5, trusted_proxies=[PROXY])
@pytest.mark.parametrize(
    "login", ["sara", "SARA ", "sara@example.com", "nobody", "nobody@example.com", "+201001234567"]
)
async def test_an_account_is_guarded_against_many_addresses_and_whether_it_exists_shows_nowhere(
    vps: Vps, login: str
) -> None:
    await make_student(vps)
    guesses = [log_in(vps, login, **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(7)]
    assert await statuses(*guesses) == [401] * 5 + [429] * 2


BY_ALL_LOGINS = {"login_failures": 4, "login_failures_per_client": 0, "logins_per_account": 0}


async def with_three_logins(vps: Vps) -> tuple[str, str, str]:
    done(await vps.http.post("/api/auth/register", json=student_form(phone="+201001234567")), 201)
    return "sara", "sara@example.com", "+201001234567"


@pytest.mark.settings(**BY_ALL_LOGINS)
async def test_the_three_logins_of_an_account_have_one_limit(vps: Vps) -> None:
    """Over it the right password is answered as a wrong one is, which tells nobody whose logins they are."""
    username, email, phone = await with_three_logins(vps)
    assert await statuses(*(log_in(vps, login) for login in (username, email, phone, username))) == [401] * 4
    for login in (username, email, phone):
        refused(await log_in(vps, login, PASSWORD), 401, "bad_credentials")
    assert await statuses(*(log_in(vps, email) for _ in range(3))) == [401, 401, 429]
    tried_too_often = await vps.rows("SELECT details FROM audit_events WHERE details ? 'too_often'")
    assert len(tried_too_often) == 5, "an admin sees why"
    await pass_time(vps, 900)
    done(await log_in(vps, phone, PASSWORD))


@pytest.mark.settings(login_failures=0, login_failures_per_client=0, logins_per_account=4, trusted_proxies=[PROXY])
async def test_so_have_they_from_many_addresses(vps: Vps) -> None:
    logins = await with_three_logins(vps)
    guesses = [log_in(vps, logins[n % 3], **{"X-Forwarded-For": f"203.0.113.{n}"}) for n in range(4)]
    assert await statuses(*guesses) == [401] * 4
    elsewhere = {"X-Forwarded-For": "203.0.113.99"}
    refused(await log_in(vps, logins[1], PASSWORD, **elsewhere), 401, "bad_credentials")
    await pass_time(vps, 900)  # of the four an hour, one comes back
    done(await log_in(vps, logins[1], PASSWORD, **elsewhere))


@pytest.mark.settings(**BY_ALL_LOGINS)
async def test_of_many_guesses_at_once_by_all_logins_as_many_are_heard_as_may(vps: Vps) -> None:
    """The right password is among them at every place, and so is found if it is looked at."""
    logins = await with_three_logins(vps)
    await asyncio.gather(*(log_in(vps, login) for login in logins * 4))
    told = await vps.rows("SELECT 1 FROM audit_events WHERE what = 'sign_in_failed' AND NOT details ? 'too_often'")
    assert len(told) == 4


@pytest.mark.settings(**BY_ALL_LOGINS)
async def test_nobody_uses_up_an_account_s_tries_by_another_login_that_looks_like_it(vps: Vps) -> None:
    student = await make_student(vps)
    for login in (str(student.id), f"user {student.id}", f"user {student.id}\0{PROXY}", "nobody sara", "login sara"):
        for _ in range(5):
            await log_in(vps, login)
    done(await log_in(vps, "sara", PASSWORD))


@pytest.mark.settings(login_failures_per_client=4)
async def test_one_address_does_not_try_a_password_on_everybody(vps: Vps) -> None:
    assert await statuses(*(log_in(vps, f"user{n}") for n in range(6))) == [401] * 4 + [429] * 2


@pytest.mark.settings(login_failures=2, login_failures_per_client=2)
async def test_right_passwords_are_no_failures(vps: Vps) -> None:
    await make_student(vps)
    for _ in range(6):
        done(await log_in(vps, password=PASSWORD))
    assert await statuses(*(log_in(vps) for _ in range(3))) == [401, 401, 429]


@pytest.mark.settings(login_failures=4)
async def test_two_processes_count_together(vps: Vps) -> None:
    async with running(vps.settings, vps.secrets) as other:
        answers = await asyncio.gather(*(log_in(one) for one in [vps, other] * 10))
    assert sorted(answer.status_code for answer in answers) == [401] * 4 + [429] * 16


# --- registering and going on -----------------------------------------------------------------------------------


@pytest.mark.settings(registrations_per_client=2)
async def test_registrations_of_one_client_are_limited_be_they_students_or_teachers(vps: Vps) -> None:
    await make_student(vps)
    done(await ask_to_teach(vps, teacher_form()), 201)
    refused(await vps.http.post("/api/auth/register", json=student_form("ali")), 429, "too_many_requests")
    refused(await ask_to_teach(vps, teacher_form("huda")), 429, "too_many_requests")
    assert len(await vps.rows("SELECT 1 FROM users")) == 2


@pytest.mark.settings(refreshes_per_client=2)
async def test_refreshes_of_one_client_are_limited_and_a_refused_one_spends_nothing(vps: Vps) -> None:
    student = await make_student(vps)
    token = student.refresh_token
    for _ in range(2):
        token = done(await vps.http.post("/api/auth/refresh", json={"refresh_token": token}))["refresh_token"]
    refused(await vps.http.post("/api/auth/refresh", json={"refresh_token": token}), 429, "too_many_requests")
    await pass_time(vps, 3600)
    done(await vps.http.post("/api/auth/refresh", json={"refresh_token": token}))


@pytest.mark.settings(mails_per_client=3)
async def test_links_that_one_client_has_mailed_are_limited_whoever_they_are_for(vps: Vps) -> None:
    """Abuse case 13; how many one address is mailed is test_proofs' business."""
    student = await make_student(vps)
    done(await student.post("/api/auth/verify-email/resend"), 202)
    asked = [vps.http.post("/api/auth/forgot-password", json={"login": f"user{n}"}) for n in range(3)]
    assert await statuses(*asked) == [202, 202, 429]
    refused(await student.post("/api/auth/verify-email/resend"), 429, "too_many_requests")


@pytest.mark.settings(mails_per_client=1)
async def test_links_to_another_address_are_counted_too(vps: Vps) -> None:
    student = await make_student(vps)
    wanted = [{"new_email": f"{name}@example.org", "password": PASSWORD} for name in ("one", "another")]
    done(await student.post("/api/users/me/email", wanted[0]), 202)
    refused(await student.post("/api/users/me/email", wanted[1]), 429, "too_many_requests")


# --- the pool that hashes ---------------------------------------------------------------------------------------


@pytest.mark.settings(bcrypt_cost=12, hashes_waiting=2, login_failures_per_client=40)
async def test_passwords_do_not_queue_for_ever_and_other_routes_answer_meanwhile(vps: Vps) -> None:
    flood = asyncio.gather(*(log_in(vps, f"user{n}") for n in range(40)))
    await asyncio.sleep(0)
    assert await statuses(*(vps.http.get("/api/courses") for _ in range(5))) == [200] * 5
    answers = await flood
    crowded = [answer for answer in answers if answer.status_code != 401]
    assert crowded
    for answer in crowded:
        refused(answer, 503, "too_many_passwords")
        assert int(answer.headers["retry-after"]) > 0
    refused(await log_in(vps), 401, "bad_credentials")  # those that nobody looked at were not counted


@pytest.mark.settings(login_failures=1, login_failures_per_client=1, logins_per_account=1)
async def test_a_password_that_nobody_looked_at_is_not_counted(vps: Vps) -> None:
    await make_student(vps)
    hasher = Hasher(4, waiting=0)
    vps.app.state.vps = dataclasses.replace(vps.app.state.vps, hasher=hasher)
    async with AsyncExitStack() as others:
        while not hasher._gate.locked():
            await others.enter_async_context(hasher._turn())
        for _ in range(3):
            refused(await log_in(vps), 503, "too_many_passwords")
        assert await vps.rows("SELECT 1 FROM rate_limits") == []  # it cost the database nothing
    done(await log_in(vps, password=PASSWORD))


@pytest.mark.settings(login_failures=10, logins_per_account=10, bcrypt_cost=10)
async def test_of_a_flood_only_those_that_have_a_place_ask_the_database(vps: Vps) -> None:
    """Else those that are refused in the end hold its connections, and everybody waits."""
    vps.app.state.vps = dataclasses.replace(vps.app.state.vps, hasher=Hasher(10, waiting=1))
    answers = await asyncio.gather(*(log_in(vps, f"user{n}") for n in range(60)))
    for answer in answers:
        if answer.status_code != 401:
            refused(answer, 503, "too_many_passwords")
    assert len(await vps.rows("SELECT 1 FROM rate_limits")) < 60  # several of each that was looked at
    refused(await log_in(vps), 401, "bad_credentials")


async def test_who_asks_without_an_address_is_counted_too(vps: Vps) -> None:
    """As over a Unix socket."""
    transport = httpx.ASGITransport(vps.app, client=("", 0))
    async with httpx.AsyncClient(transport=transport, base_url=ORIGIN) as http:
        assert (await log_in(http)).status_code == 401
