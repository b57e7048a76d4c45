"""Signing out everywhere: every token that was given out is void at once, and none slips past."""

import asyncio

import pytest
from sqlalchemy import text

from tests.vps.people import Person, announced, done, make_student, make_teacher, refused, sign_in, signed_in
from tests.vps.running import Vps
from tests.vps.test_sessions import session_of
from tests.vps.waiting import is_answered_or_waits

pytestmark = pytest.mark.anyio


async def refresh(vps: Vps, token: str) -> int:
    return (await vps.http.post("/api/auth/refresh", json={"refresh_token": token})).status_code


async def is_signed_out(vps: Vps, person: Person) -> None:
    refused(await person.get("/api/auth/me"), 401, "not_authenticated")
    assert await refresh(vps, person.refresh_token) == 401


async def test_signing_out_everywhere_voids_every_token_of_every_device(vps: Vps) -> None:
    phone, other = await make_student(vps), await make_student(vps, "ali")
    laptop = await sign_in(vps, "sara")
    assert (await phone.delete("/api/auth/sessions")).status_code == 204
    for device in (phone, laptop):
        await is_signed_out(vps, device)
    done(await other.get("/api/auth/me"))
    assert await refresh(vps, other.refresh_token) == 200
    everywhere, *sessions = await announced(vps)
    assert everywhere == {"kind": "user_signed_out", "user_id": str(phone.id)}
    assert {one["session_id"] for one in sessions} == {str(session_of(device)) for device in (phone, laptop)}


async def test_nodes_are_told_of_those_sessions_alone_that_may_still_have_tokens(vps: Vps) -> None:
    """Somebody who signs in all day long makes no day's work for nodes by signing out."""
    phone = await make_student(vps)
    laptop = await sign_in(vps, "sara")
    unused = "UPDATE sign_ins SET last_used_at = now() - interval '2 days' WHERE id = :id"
    await vps.rows(unused, id=session_of(phone))
    done(await laptop.delete("/api/auth/sessions"), 204)
    assert [one["session_id"] for one in await announced(vps, "session_ended")] == [str(session_of(laptop))]
    assert await vps.rows("SELECT 1 FROM sign_ins") == []


async def test_one_that_is_used_again_at_that_moment_is_among_them(vps: Vps) -> None:
    phone = await make_student(vps)
    laptop = await sign_in(vps, "sara")
    unused = "UPDATE sign_ins SET last_used_at = now() - interval '2 days' WHERE id = :id"
    await vps.rows(unused, id=session_of(phone))
    async with vps.sessions() as session:
        used = text("UPDATE sign_ins SET last_used_at = now() WHERE id = :id")
        await session.execute(used, {"id": session_of(phone)})
        everywhere = asyncio.create_task(laptop.delete("/api/auth/sessions"))
        await is_answered_or_waits(vps, everywhere)
        await session.commit()
    done(await everywhere, 204)
    ended = {one["session_id"] for one in await announced(vps, "session_ended")}
    assert ended == {str(session_of(device)) for device in (phone, laptop)}


async def test_one_can_sign_in_again_afterwards(vps: Vps) -> None:
    student = await make_student(vps)
    for _ in range(3):
        await student.delete("/api/auth/sessions")
        student = await sign_in(vps, "sara")
        done(await student.get("/api/auth/me"))
        assert await refresh(vps, student.refresh_token) == 200


async def test_a_signed_out_token_does_not_sign_out_again(vps: Vps) -> None:
    student = await make_student(vps)
    await student.delete("/api/auth/sessions")
    refused(await student.delete("/api/auth/sessions"), 401, "not_authenticated")
    refused(await vps.http.delete("/api/auth/sessions"), 401, "not_authenticated")
    assert [change["kind"] for change in await announced(vps)] == ["user_signed_out", "session_ended"]


async def test_twenty_sign_outs_at_once_are_one(vps: Vps) -> None:
    student = await make_student(vps)
    answers = await asyncio.gather(*(student.delete("/api/auth/sessions") for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {204, 401}
    assert [change["kind"] for change in await announced(vps)] == ["user_signed_out", "session_ended"]
    assert (await vps.row("SELECT generation FROM users"))["generation"] == 1


async def test_no_refresh_at_the_same_moment_slips_past(vps: Vps) -> None:
    for number in range(8):
        devices = [await make_student(vps, f"student{number}")]
        devices += [await sign_in(vps, f"student{number}") for _ in range(3)]
        ended, *answers = await asyncio.gather(
            devices[0].delete("/api/auth/sessions"),
            *(vps.http.post("/api/auth/refresh", json={"refresh_token": one.refresh_token}) for one in devices[1:]),
        )
        assert ended.status_code == 204
        for device in (*devices, *(signed_in(vps, answer.json()) for answer in answers if answer.is_success)):
            await is_signed_out(vps, device)


async def test_a_sign_in_at_the_same_moment_is_either_ended_or_good(vps: Vps) -> None:
    for number in range(8):
        student = await make_student(vps, f"student{number}")
        again, _ = await asyncio.gather(sign_in(vps, f"student{number}"), student.delete("/api/auth/sessions"))
        works = (await again.get("/api/auth/me")).status_code == 200
        assert (await refresh(vps, again.refresh_token) == 200) is works
        await is_signed_out(vps, student)


async def test_signing_out_on_one_device_leaves_the_others(vps: Vps) -> None:
    phone = await make_teacher(vps)
    laptop = await sign_in(vps, "omar")
    done(await vps.http.post("/api/auth/logout", json={"refresh_token": phone.refresh_token}), 204)
    assert await refresh(vps, phone.refresh_token) == 401
    assert await refresh(vps, laptop.refresh_token) == 200
    await is_signed_out(vps, phone)
    (ended,) = await announced(vps)
    assert (ended["kind"], ended["user_id"]) == ("session_ended", str(phone.id))
