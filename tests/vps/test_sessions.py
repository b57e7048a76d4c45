"""Where one is signed in: each session is seen, and ended, by itself."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest

from shared.contract import ACCESS, AccessQuestion
from shared.tokens import sign_access
from tests.vps.people import (
    PASSWORD,
    Person,
    announced,
    done,
    make_admin,
    make_student,
    make_teacher,
    published_course,
    refused,
    sign_in,
    signed_in,
    store_video,
)
from tests.vps.running import Vps
from vps_service.accounts import sessions as signing
from vps_service.accounts.models import User
from vps_service.accounts.sessions import end_other_sessions, forget_expired

pytestmark = pytest.mark.anyio

SESSIONS = "/api/auth/sessions"


def session_of(person: Person) -> UUID:
    """As the access token names it."""
    return UUID(jwt.decode(person.access_token, options={"verify_signature": False})["sid"])


async def sessions_of(person: Person) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = done(await person.get(SESSIONS))["items"]
    return items


async def sign_in_with(vps: Vps, agent: str) -> Person:
    login = {"login": "sara", "password": PASSWORD}
    return signed_in(vps, done(await vps.http.post("/api/auth/login", json=login, headers={"User-Agent": agent})))


async def is_signed_in(person: Person) -> bool:
    return (await person.get("/api/auth/me")).status_code == 200


async def test_each_session_says_on_which_device_and_which_is_this(vps: Vps) -> None:
    phone = await make_student(vps)
    laptop = await sign_in_with(vps, "Firefox/150.0 (X11; Linux)")
    await make_student(vps, "ali")
    listed = await sessions_of(laptop)
    assert [UUID(one["id"]) for one in listed] == [session_of(laptop), session_of(phone)]
    assert [one["is_current"] for one in listed] == [True, False]
    assert (listed[0]["device"], listed[0]["address"]) == ("Firefox/150.0 (X11; Linux)", "127.0.0.1")
    assert [one["is_current"] for one in await sessions_of(phone)] == [False, True]


async def test_a_device_names_itself_by_what_can_be_shown_and_no_more_than_that(vps: Vps) -> None:
    await make_student(vps)
    student = await sign_in_with(vps, "<b>\x01\t" + "x" * 1000)
    device = (await sessions_of(student))[0]["device"]
    assert device == "<b>" + "x" * 195


async def test_a_refresh_is_a_use_and_tells_where_from(vps: Vps) -> None:
    student = await make_student(vps)
    await vps.rows("UPDATE sign_ins SET last_used_at = last_used_at - interval '1 day'")
    token = {"refresh_token": student.refresh_token}
    answer = done(await vps.http.post("/api/auth/refresh", json=token, headers={"User-Agent": "Firefox/151.0"}))
    again = signed_in(vps, answer)
    assert session_of(again) == session_of(student)
    (shown,) = await sessions_of(again)
    assert shown["device"] == "Firefox/151.0"
    assert shown["last_used_at"] >= shown["created_at"]


async def test_sessions_come_in_pages(vps: Vps) -> None:
    people = [await make_student(vps), *[await sign_in(vps, "sara") for _ in range(4)]]
    found, query = list[str](), ""
    while True:
        page = done(await people[0].get(f"{SESSIONS}?limit=2{query}"))
        found += [one["id"] for one in page["items"]]
        if page["next"] is None:
            break
        query = f"&cursor={page['next']}"
    assert found == [str(session_of(one)) for one in reversed(people)]


async def test_one_that_is_ended_is_over_at_once_and_the_others_go_on(vps: Vps) -> None:
    phone = await make_student(vps)
    laptop = await sign_in(vps, "sara")
    path = f"{SESSIONS}/{session_of(phone)}"
    assert (await laptop.delete(path)).status_code == 204
    refused(await phone.get("/api/auth/me"), 401, "not_authenticated")
    refreshed = await vps.http.post("/api/auth/refresh", json={"refresh_token": phone.refresh_token})
    refused(refreshed, 401, "bad_refresh_token")
    assert await is_signed_in(laptop)
    refused(await laptop.delete(path), 404, "session_not_found")
    ended = {"kind": "session_ended", "user_id": str(phone.id), "session_id": str(session_of(phone))}
    assert await announced(vps) == [ended]


async def test_ones_own_session_can_be_ended_too(vps: Vps) -> None:
    student = await make_student(vps)
    assert (await student.delete(f"{SESSIONS}/{session_of(student)}")).status_code == 204
    assert not await is_signed_in(student)


async def test_case_26_somebody_elses_session_is_not_there(vps: Vps) -> None:
    student, admin = await make_student(vps), await make_admin(vps)
    for other in (await make_student(vps, "ali"), admin):
        refused(await other.delete(f"{SESSIONS}/{session_of(student)}"), 404, "session_not_found")
        refused(await other.delete(f"{SESSIONS}/{uuid4()}"), 404, "session_not_found")
    assert await is_signed_in(student)
    assert await announced(vps) == []


async def test_of_twenty_who_end_one_session_at_once_one_does(vps: Vps) -> None:
    phone = await make_student(vps)
    laptop = await sign_in(vps, "sara")
    answers = await asyncio.gather(*(laptop.delete(f"{SESSIONS}/{session_of(phone)}") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [204, *[404] * 19]
    assert len(await announced(vps)) == 1


async def test_case_2_a_token_of_a_session_that_is_somebody_elses_or_no_id_is_refused(vps: Vps) -> None:
    sara, ali = await make_student(vps), await make_student(vps, "ali")
    for session_id in (session_of(ali), uuid4()):
        sara.access_token = sign_access(vps.settings.access_key, sara.id, "sara", "student", 60, session_id=session_id)
        assert not await is_signed_in(sara)


async def test_a_token_of_the_release_before_names_no_session_and_lives_out_its_life(vps: Vps) -> None:
    student = await make_student(vps)
    student.access_token = sign_access(vps.settings.access_key, student.id, "sara", "student", 60)
    assert [one["is_current"] for one in await sessions_of(student)] == [False]
    done(await student.delete(SESSIONS), 204)
    assert not await is_signed_in(student)


async def test_all_others_can_be_ended_at_once(vps: Vps) -> None:
    people = [await make_student(vps), *[await sign_in(vps, "sara") for _ in range(3)]]
    await make_student(vps, "ali")
    async with vps.sessions() as session, session.begin():
        user = await session.get_one(User, people[0].id)
        await end_other_sessions(session, user, session_of(people[1]))
    assert [await is_signed_in(one) for one in people] == [False, True, False, False]
    assert len(await vps.rows("SELECT 1 FROM sign_ins")) == 2
    assert len(await announced(vps, "session_ended")) == 3


# --- what nodes are answered ------------------------------------------------------------------------------------


async def test_the_vps_refuses_a_node_that_asks_for_who_has_signed_out(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    laptop = await sign_in(vps, "omar")
    video = await store_video(vps, await published_course(vps, teacher))

    async def may_watch(session_id: UUID | None) -> bool:
        question = AccessQuestion(user_id=teacher.id, generation=0, video_id=video, session_id=session_id)
        return bool(done(await vps.node.post(ACCESS, question))["allowed"])

    sessions = (session_of(teacher), session_of(laptop), uuid4(), None)
    assert [await may_watch(one) for one in sessions] == [True, True, False, True]
    await vps.http.post("/api/auth/logout", json={"refresh_token": teacher.refresh_token})
    assert [await may_watch(one) for one in sessions] == [False, True, False, True]


# --- tidying ----------------------------------------------------------------------------------------------------


async def test_what_has_expired_is_forgotten_and_nothing_else(vps: Vps) -> None:
    gone = await make_student(vps)
    kept = signed_in(vps, done(await vps.http.post("/api/auth/refresh", json={"refresh_token": gone.refresh_token})))
    over = await sign_in(vps, "sara")
    expired = "UPDATE {} SET expires_at = now() - interval '1 second' WHERE {} = :id"
    await vps.rows("UPDATE refresh_tokens SET expires_at = now() - interval '1 second' WHERE used_at IS NOT NULL")
    for table, column in (("sign_ins", "id"), ("refresh_tokens", "family")):
        await vps.rows(expired.format(table, column), id=session_of(over))
    assert len(await sessions_of(kept)) == 1
    assert await forget_expired(vps.sessions) == 2  # a session that goes takes its tokens along
    assert [row["id"] for row in await vps.rows("SELECT id FROM sign_ins")] == [session_of(kept)]
    assert len(await vps.rows("SELECT 1 FROM refresh_tokens")) == 1
    assert await announced(vps) == []
    done(await vps.http.post("/api/auth/refresh", json={"refresh_token": kept.refresh_token}))


MANY = (
    "INSERT INTO sign_ins (id, user_id, device, address, expires_at)"
    " SELECT gen_random_uuid(), :id, '', '', now() - interval '1 hour' FROM generate_series(1, 2000)",
    "INSERT INTO refresh_tokens (id, user_id, family, token_hash, expires_at)"
    " SELECT gen_random_uuid(), user_id, id, sha256(concat(id, number)::bytea), expires_at"
    " FROM sign_ins, generate_series(1, 5) number WHERE expires_at < now()",
)


async def test_several_processes_that_forget_at_once_wait_for_nobody_who_waits_for_them(
    vps: Vps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signing, "FORGOTTEN_AT_ONCE", 200)
    sara = await make_student(vps)

    async def forget_all() -> None:
        while await forget_expired(vps.sessions):
            pass

    for statement in MANY:
        await vps.rows(statement, id=sara.id)
    await asyncio.gather(*(forget_all() for _ in range(8)))
    assert [row["id"] for row in await vps.rows("SELECT id FROM sign_ins")] == [session_of(sara)]
    assert len(await vps.rows("SELECT 1 FROM refresh_tokens")) == 1
