"""The log of sign-ins and privileged acts: in the transaction of the act, complete, and never changed."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyotp
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from tests.processes import run
from tests.settings import vps_environment
from tests.simulator import Simulator
from tests.vps.people import (
    PASSWORD,
    Person,
    confirm,
    done,
    make_admin,
    make_student,
    make_teacher,
    order,
    pay,
    published_course,
    refused,
    sign_in,
    submitted_course,
    verify,
)
from tests.vps.running import NODE, Vps
from tests.vps.terminal import toptank
from vps_service.audit import actions

pytestmark = pytest.mark.anyio


async def log(admin: Person, **wanted: str | int) -> list[dict[str, Any]]:
    """Newest first."""
    items: list[dict[str, Any]] = done(await admin.get("/api/admin/audit", params={"limit": "100", **wanted}))["items"]
    return items


async def acts(admin: Person, subject: object) -> list[tuple[str, str | None]]:
    """What was done to it, and by whom, oldest first; who was done it to had registered before."""
    done_to_it = reversed(await log(admin, subject=str(subject)))
    return [(event["what"], event["actor_id"]) for event in done_to_it if event["what"] != "registered"]


async def test_what_admins_do_to_people_is_told_with_who_did_it_from_where_and_in_which_request(vps: Vps) -> None:
    admin, student, teacher = await make_admin(vps), await make_student(vps), await make_teacher(vps)
    user = f"/api/admin/users/{student.id}"
    await admin.post(f"{user}/ban", headers={"X-Request-ID": "the-request-1"})
    await admin.post(f"{user}/activate")
    await admin.put(f"{user}/role", {"role": "teacher"})
    for act in ("verify", "demote"):
        done(await admin.post(f"/api/admin/teachers/omar/{act}"))
    by = str(admin.id)
    whats = ["user_banned", "user_activated", "user_role_changed"]
    assert await acts(admin, student.id) == [(what, by) for what in whats]
    assert await acts(admin, teacher.id) == [("teacher_verified", by), ("teacher_demoted", by)]
    (ban,) = await log(admin, what="user_banned")
    assert (ban["address"], ban["request_id"], ban["details"]) == ("127.0.0.1", "the-request-1", {})
    (role,) = await log(admin, what="user_role_changed")
    assert role["details"] == {"role": "teacher", "before": "student"}


async def test_what_admins_do_to_courses_is_told(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    course = await submitted_course(teacher)
    path = f"/api/admin/courses/{course.id}"
    done(await admin.post(f"{path}/reject", {"reason": "no sound"}))
    done(await teacher.post(f"{course.path}/submit"))
    for act in ("approve", "unpublish", "unpublish"):
        done(await admin.post(f"{path}/{act}"))
    whats = ["course_rejected", "course_approved", "course_unpublished"]
    assert await acts(admin, course.id) == [(what, str(admin.id)) for what in whats]


async def test_what_admins_do_to_sales_is_told(vps: Vps, simulator: Simulator) -> None:
    buyer, course = await make_student(vps), await published_course(vps, await make_teacher(vps))
    free = await published_course(vps, await make_teacher(vps, "huda"), amount=0)
    admin = await sign_in(vps, "root-admin")
    payment = done(await order(buyer, course), 201)
    await pay(payment)
    done(await verify(buyer, payment))
    done(await buyer.post(f"{free.path}/enroll"), 201)
    key = await vps.row("SELECT id FROM keys WHERE payment_id IS NULL")
    done(await admin.post(f"/api/admin/payments/{payment['id']}/refund"))
    for _ in range(2):
        done(await admin.post(f"/api/admin/keys/{key['id']}/void"))
    assert await acts(admin, payment["id"]) == [("refund_ordered", str(admin.id))]
    assert await acts(admin, key["id"]) == [("key_voided", str(admin.id))]


async def test_what_came_to_nothing_is_not_told_as_done(vps: Vps) -> None:
    admin, student, teacher = await make_admin(vps), await make_student(vps), await make_teacher(vps)
    course = await submitted_course(teacher)
    refused(await admin.post(f"/api/admin/users/{admin.id}/ban"), 409, "cannot_ban_oneself")
    refused(await admin.put(f"/api/admin/users/{teacher.id}/role", {"role": "student"}), 409, "teacher_has_courses")
    refused(await admin.put(f"/api/admin/users/{admin.id}/role", {"role": "student"}), 409, "admin_role")
    refused(await admin.post(f"/api/admin/courses/{course.id}/unpublish"), 409, "wrong_status")
    refused(await student.post(f"/api/admin/users/{teacher.id}/ban"), 403, "wrong_role")
    assert {event["what"] for event in await log(admin)} == {"registered", "signed_in", "node_admitted"}


async def test_of_twenty_who_do_the_same_at_once_one_is_told(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    await asyncio.gather(*(admin.post(f"/api/admin/users/{student.id}/ban") for _ in range(20)))
    assert await acts(admin, student.id) == [("user_banned", str(admin.id))]


# --- signing in -------------------------------------------------------------------------------------------------


async def test_sign_ins_are_told_good_and_bad_and_never_what_was_typed(vps: Vps) -> None:
    student, admin = await make_student(vps), await make_admin(vps)
    for login, password in (("sara", "hunter22hunter22"), ("hunter22nobody", PASSWORD), ("sara@example.com", PASSWORD)):
        await vps.http.post("/api/auth/login", json={"login": login, "password": password})
    assert await acts(admin, student.id) == [("sign_in_failed", None), ("signed_in", str(student.id))]
    failed = await log(admin, what="sign_in_failed")
    assert [event["subject"] for event in failed] == [None, str(student.id)]
    rows = json.dumps(await vps.rows("SELECT * FROM audit_events"), default=str)
    for typed in ("hunter22", "sara", PASSWORD):
        assert typed not in rows


async def test_a_banned_users_right_password_is_a_failure_too(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    done(await admin.post(f"/api/admin/users/{student.id}/ban"))
    await vps.http.post("/api/auth/login", json={"login": "sara", "password": PASSWORD})
    assert (await acts(admin, student.id))[-1] == ("sign_in_failed", None)


async def test_a_right_password_without_the_second_factor_is_a_failure_that_says_so(vps: Vps) -> None:
    """It is all that tells that somebody else knows the password."""
    admin, student = await make_admin(vps), await make_student(vps)
    secret = done(await student.post("/api/auth/totp", {"password": PASSWORD}), 201)["secret"]
    code = pyotp.TOTP(secret).now()
    done(await student.post("/api/auth/totp/confirm", {"code": code}))
    await vps.rows("DELETE FROM rate_limits")
    for shown in ({}, *[{"totp": code}] * 11):
        await vps.http.post("/api/auth/login", json={"login": "sara", "password": PASSWORD} | shown)
    failed = await log(admin, what="sign_in_failed", limit=20)
    assert {event["subject"] for event in failed} == {str(student.id)}
    why = [event["details"]["second_factor"] for event in reversed(failed)]
    assert why == ["missing", *["wrong"] * 10, "too_often"]


async def test_signing_out_everywhere_is_told(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    done(await student.delete("/api/auth/sessions"), 204)
    assert await acts(admin, student.id) == [("signed_out_everywhere", str(student.id))]


# --- at the server ----------------------------------------------------------------------------------------------


async def test_what_operators_do_is_told_without_an_address(vps: Vps, tmp_path: Path) -> None:
    environment = vps_environment(vps.settings.database_url, vps.secrets, tmp_path)
    student = await make_student(vps)
    await confirm(vps, student)
    made = run(
        "vps_service.accounts.operator",
        "create-admin",
        "chief",
        "c@example.com",
        environment=environment,
        given=PASSWORD,
    )
    assert made.returncode == 0, made.stderr
    assert run("vps_service.nodes.operator", "remove-node", NODE, environment=environment).returncode == 0
    admin = await sign_in(vps, "chief")
    told = [event for event in await log(admin) if event["address"] is None]
    assert [event["what"] for event in told] == ["node_shut_out", "admin_created", "contact_confirmed", "node_admitted"]
    assert [event["subject"] for event in told] == [NODE, str(admin.id), str(student.id), NODE]
    assert {event["actor_id"] for event in told} == {None}
    assert [event["request_id"] for event in told[:2]] == [None, None]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_events SET actor_id = NULL",
        "UPDATE audit_events SET what = 'signed_in' WHERE false",
        "DELETE FROM audit_events",
        "TRUNCATE audit_events",
        "SET LOCAL toptank.trimming = 'yes'; DELETE FROM audit_events",
        "SET LOCAL toptank.trimming = 'yes'; DELETE FROM audit_events WHERE what = 'signed_in'",
        "SET LOCAL toptank.trimming = 'yes'; TRUNCATE audit_events",
    ],
)
async def test_not_even_somebody_at_the_database_changes_what_was_told(vps: Vps, statement: str) -> None:
    await make_admin(vps)
    before = await vps.rows("SELECT * FROM audit_events ORDER BY id")
    with pytest.raises(ProgrammingError, match="audit_events are only added to"):
        async with vps.sessions() as session, session.begin():
            for part in statement.split("; "):
                await session.execute(text(part))
    assert await vps.rows("SELECT * FROM audit_events ORDER BY id") == before != []


# --- what is old ------------------------------------------------------------------------------------------------

OLD = (
    "INSERT INTO audit_events (id, created_at, what) SELECT (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint),"
    " 12, '0') || '70008000' || lpad(to_hex(number), 12, '0'))::uuid, at, 'signed_in' FROM"
    " (SELECT now() - make_interval(hours => 24 * number - 1) AS at, number FROM generate_series(1, 400) number) AS day"
)
"""One a day."""
COUNT = (
    "SELECT count(*) AS events FROM audit_events WHERE what = 'signed_in' AND created_at < now() - interval '1 hour'"
)


async def test_an_operator_trims_what_is_old_and_that_is_told(
    vps: Vps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = vps_environment(vps.settings.database_url, vps.secrets, tmp_path)
    admin = await make_admin(vps)
    await vps.rows(OLD)
    ended = toptank("audit-trim", "--older-than-days", "100", environment=environment)
    assert (ended[0], ended[1].split()[0]) == (0, "300")
    assert (await vps.row(COUNT))["events"] == 100
    (trimmed,) = await log(admin, what="audit_trimmed")
    assert (trimmed["details"]["events"], trimmed["actor_id"], trimmed["address"]) == (300, None, None)
    assert toptank("audit-trim", "--older-than-days", "100", environment=environment)[1].split()[0] == "0"
    assert len(await log(admin, what="audit_trimmed")) == 1
    monkeypatch.setattr(actions, "TRIMMED_AT_ONCE", 30)
    assert await actions.trim(vps.sessions, datetime.now(UTC) - timedelta(days=40)) == 60
    assert [event["details"]["events"] for event in await log(admin, what="audit_trimmed")] == [30, 30, 300]


@pytest.mark.parametrize("days", ["29", "0", "-5", "some", "99999"])
async def test_what_is_young_is_not_trimmed(vps: Vps, tmp_path: Path, days: str) -> None:
    environment = vps_environment(vps.settings.database_url, vps.secrets, tmp_path)
    await vps.rows(OLD)
    assert toptank("audit-trim", "--older-than-days", days, environment=environment)[0] == 2
    with pytest.raises(ProgrammingError, match="of the last 30 days stay"):
        await actions.trim(vps.sessions, datetime.now(UTC) - timedelta(days=29))
    assert (await vps.row(COUNT))["events"] == 400


async def test_after_a_trimming_nothing_goes_otherwise(vps: Vps) -> None:
    await vps.rows(OLD)
    async with vps.sessions() as session:
        trimmed = text("SELECT trim_audit_events(gen_random_uuid(), now() - interval '399 days 1 hour', 10)")
        assert await session.scalar(trimmed) == 1
        with pytest.raises(ProgrammingError, match="audit_events are only added to"):
            await session.execute(text("DELETE FROM audit_events"))


# --- reading it -------------------------------------------------------------------------------------------------


async def test_the_log_is_read_page_by_page_while_it_grows(vps: Vps) -> None:
    admin = await make_admin(vps)
    for _ in range(6):
        await vps.http.post("/api/auth/login", json={"login": "nobody", "password": "wrong"})
    whole = [event["id"] for event in await log(admin)]
    assert len(whole) == 8
    assert whole == sorted(whole, reverse=True)
    read: list[str] = []
    more: dict[str, str] = {}
    while True:
        page = done(await admin.get("/api/admin/audit", params={"limit": "3", **more}))
        read += [event["id"] for event in page["items"]]
        await sign_in(vps, "root-admin")
        if page["next"] is None:
            break
        more = {"cursor": page["next"]}
    assert read == whole


async def test_the_log_is_searched_by_what_by_whom_and_on_whom(vps: Vps) -> None:
    admin, other, student = await make_admin(vps), await make_admin(vps, "other-admin"), await make_student(vps)
    done(await admin.post(f"/api/admin/users/{student.id}/ban"))
    done(await other.post(f"/api/admin/users/{student.id}/activate"))
    assert [event["what"] for event in await log(admin, actor_id=str(other.id))] == ["user_activated", "signed_in"]
    both = await log(admin, actor_id=str(admin.id), subject=str(student.id), what="user_banned")
    assert [event["what"] for event in both] == ["user_banned"]
    assert await log(admin, subject="nothing") == []
    for odd in ({"what": "nothing"}, {"actor_id": "nobody"}, {"cursor": "?"}, {"subject": "\0"}, {"subject": "x" * 65}):
        refused(await admin.get("/api/admin/audit", params=odd), 422, "validation_failed")
