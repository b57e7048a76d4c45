"""Staying signed in: refresh tokens that are good once, and what becomes of one that is used again."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import text

from tests.vps.people import PASSWORD, announced, done, make_student, refused
from tests.vps.running import Vps
from tests.vps.waiting import is_answered_or_waits

pytestmark = pytest.mark.anyio


async def log_in(vps: Vps, login: str) -> Any:
    return await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD})


async def refresh(vps: Vps, token: str) -> Any:
    return await vps.http.post("/api/auth/refresh", json={"refresh_token": token})


async def later(vps: Vps) -> None:
    """Too late for a double submit."""
    await vps.rows("UPDATE refresh_tokens SET used_at = used_at - interval '11 seconds'")


async def test_a_refresh_token_is_exchanged_for_new_tokens(vps: Vps) -> None:
    student = await make_student(vps)
    answer = done(await refresh(vps, student.refresh_token))
    assert answer["user"] == student.user
    assert answer["refresh_token"] != student.refresh_token
    done(await refresh(vps, answer["refresh_token"]))


async def test_case_5_using_a_refresh_token_again_ends_its_session_and_no_other(vps: Vps) -> None:
    student = await make_student(vps)
    newest = done(await refresh(vps, student.refresh_token))
    other_device = done(await log_in(vps, "sara"))["refresh_token"]
    await later(vps)
    refused(await refresh(vps, student.refresh_token), 401, "bad_refresh_token")
    refused(await refresh(vps, newest["refresh_token"]), 401, "bad_refresh_token")
    for token in (student.access_token, newest["access_token"]):
        student.access_token = token
        refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    done(await refresh(vps, other_device))
    assert [change["kind"] for change in await announced(vps)] == ["session_ended"]


async def test_case_5_of_twenty_parallel_uses_of_a_refresh_token_each_gets_the_very_same_next_one(vps: Vps) -> None:
    student = await make_student(vps)
    answers = await asyncio.gather(*(refresh(vps, student.refresh_token) for _ in range(20)))
    (following,) = {done(answer)["refresh_token"] for answer in answers}
    assert len(await vps.rows("SELECT 1 FROM refresh_tokens WHERE used_at IS NULL")) == 1
    assert await announced(vps) == []
    for answer in answers:
        student.access_token = answer.json()["access_token"]
        done(await student.get("/api/auth/me"))
    done(await refresh(vps, following))


async def test_fault_36_whom_the_answer_did_not_reach_asks_once_more(vps: Vps) -> None:
    student = await make_student(vps)
    lost = done(await refresh(vps, student.refresh_token))["refresh_token"]
    again = done(await refresh(vps, student.refresh_token))["refresh_token"]
    assert again == lost
    after = done(await refresh(vps, again))["refresh_token"]
    assert after not in (again, student.refresh_token)
    done(await refresh(vps, after))


async def test_once_the_next_token_was_used_the_one_before_is_no_double_submit_any_more(vps: Vps) -> None:
    student = await make_student(vps)
    newest = done(await refresh(vps, student.refresh_token))["refresh_token"]
    latest = done(await refresh(vps, newest))["refresh_token"]
    refused(await refresh(vps, student.refresh_token), 401, "bad_refresh_token")
    refused(await refresh(vps, latest), 401, "bad_refresh_token")


async def test_a_replay_ends_the_session_while_its_newest_token_is_being_exchanged(vps: Vps) -> None:
    for number in range(20):
        student = await make_student(vps, f"student{number}")
        newest = done(await refresh(vps, student.refresh_token))["refresh_token"]
        await later(vps)
        exchanged, again = await asyncio.gather(refresh(vps, newest), refresh(vps, student.refresh_token))
        refused(again, 401, "bad_refresh_token")
        assert await vps.rows("SELECT 1 FROM refresh_tokens") == []
        if exchanged.status_code == 200:
            refused(await refresh(vps, exchanged.json()["refresh_token"]), 401, "bad_refresh_token")


async def test_a_refresh_token_has_its_day(vps: Vps) -> None:
    student = await make_student(vps)
    await vps.rows("UPDATE refresh_tokens SET expires_at = now()")
    refused(await refresh(vps, student.refresh_token), 401, "bad_refresh_token")


async def test_signing_out_ends_the_session_and_always_succeeds(vps: Vps) -> None:
    student = await make_student(vps)
    newest = done(await refresh(vps, student.refresh_token))["refresh_token"]
    for token in (student.refresh_token, newest, "unknown"):
        assert (await vps.http.post("/api/auth/logout", json={"refresh_token": token})).status_code == 204
    refused(await refresh(vps, newest), 401, "bad_refresh_token")
    refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    assert len(await announced(vps)) == 1


async def test_no_refresh_slips_past_signing_out_at_the_same_moment(vps: Vps) -> None:
    for number in range(8):
        student = await make_student(vps, f"student{number}")
        exchanged, _ = await asyncio.gather(
            refresh(vps, student.refresh_token),
            vps.http.post("/api/auth/logout", json={"refresh_token": student.refresh_token}),
        )
        assert await vps.rows("SELECT 1 FROM sign_ins") == []
        if exchanged.status_code == 200:
            student.access_token = exchanged.json()["access_token"]
            refused(await student.get("/api/auth/me"), 401, "not_authenticated")


async def test_who_refreshes_over_and_over_keeps_no_ban_waiting(vps: Vps) -> None:
    """Shared locks of an account that follow each other without a gap would, for as long as they do."""
    student = await make_student(vps)
    async with vps.sessions() as before, vps.sessions() as admin:
        await before.execute(text("SELECT 1 FROM sign_ins FOR UPDATE"))
        asking = [asyncio.create_task(refresh(vps, student.refresh_token)) for _ in range(3)]
        await is_answered_or_waits(vps, asking[0])
        await admin.execute(text("SELECT 1 FROM users FOR NO KEY UPDATE NOWAIT"))
        await admin.rollback()
        await before.rollback()
    assert len({done(await one)["refresh_token"] for one in asking}) == 1


async def test_case_6_a_refresh_while_somebody_is_being_banned_comes_to_nothing(vps: Vps) -> None:
    student = await make_student(vps)
    async with vps.sessions() as ban, ban.begin():
        await ban.execute(text("UPDATE users SET state = 'banned', generation = generation + 1"))
        answer = done(await refresh(vps, student.refresh_token))
        await ban.execute(text("DELETE FROM sign_ins"))
    student.access_token = answer["access_token"]
    refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    refused(await refresh(vps, answer["refresh_token"]), 401, "bad_refresh_token")


async def test_of_a_refresh_token_only_a_hash_is_kept_also_of_one_that_can_be_given_again(vps: Vps) -> None:
    student = await make_student(vps)
    following = done(await refresh(vps, student.refresh_token))["refresh_token"]
    rows = await vps.rows("SELECT * FROM refresh_tokens")
    for token in (student.refresh_token, following):
        assert token not in str(rows)
        assert token.encode() not in [row["salt"] for row in rows]
    assert [len(row["token_hash"]) for row in rows] == [32, 32]
