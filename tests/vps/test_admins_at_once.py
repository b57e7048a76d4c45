"""What admins do at the moment in which they stop being admins: an act is of an admin, or comes to nothing."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from tests.simulator import Simulator
from tests.vps.lives import leave
from tests.vps.people import (
    Person,
    buy,
    done,
    make_admin,
    make_student,
    make_teacher,
    published_course,
    refused,
    sign_in,
    submitted_course,
    verify_teacher,
)
from tests.vps.running import Vps
from tests.vps.waiting import is_answered_or_waits

pytestmark = pytest.mark.anyio

BANNED = "UPDATE users SET state = 'banned', generation = generation + 1 WHERE id = :id"
SIGNED_OUT = "UPDATE users SET generation = generation + 1 WHERE id = :id"
AGAIN = "UPDATE users SET state = 'active', generation = generation - 1 WHERE id = :id"
STATES = (
    "SELECT id, state, role, generation FROM users ORDER BY id",
    "SELECT id, status FROM courses ORDER BY id",
    "SELECT user_id, verified_at, demoted_at FROM teachers ORDER BY user_id",
    "SELECT id, status FROM keys ORDER BY id",
    "SELECT id, status FROM payments ORDER BY id",
    "SELECT number, kind FROM changes ORDER BY number",
    "SELECT id, what FROM audit_events ORDER BY id",
)
"""What admins change."""


def ban(admin: Person, user: Person) -> Any:
    return admin.post(f"/api/admin/users/{user.id}/ban")


async def active_admins(vps: Vps) -> list[UUID]:
    rows = await vps.rows("SELECT id FROM users WHERE role = 'admin' AND state = 'active'")
    return [row["id"] for row in rows]


async def test_of_two_admins_who_ban_each_other_at_once_one_stays(vps: Vps) -> None:
    for number in range(8):
        one, other = await make_admin(vps, f"one-{number}"), await make_admin(vps, f"other-{number}")
        answers = await asyncio.gather(ban(one, other), ban(other, one))
        assert sorted(answer.status_code for answer in answers) == [200, 401]
        (left,) = await active_admins(vps)
        assert left == (one.id if answers[0].status_code == 200 else other.id)
        await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=left)


async def test_of_many_who_ban_each_other_at_once_somebody_stays(vps: Vps) -> None:
    admins = [await make_admin(vps, f"admin-{number}") for number in range(4)]
    pairs = [(admin, user) for admin in admins for user in admins if admin is not user]
    answers = await asyncio.gather(*(ban(admin, user) for admin, user in pairs))
    assert {answer.status_code for answer in answers} <= {200, 401}
    assert len(await active_admins(vps)) == 1


async def test_of_two_admins_of_whom_one_leaves_and_bans_the_other_one_stays(vps: Vps) -> None:
    for number in range(6):
        one, other = await make_admin(vps, f"one-{number}"), await make_admin(vps, f"other-{number}")
        await asyncio.gather(leave(one), ban(one, other), leave(other))
        assert len(await active_admins(vps)) == 1
        await vps.rows("UPDATE users SET state = 'banned' WHERE role = 'admin'")


# --- every act --------------------------------------------------------------------------------------------------


async def scene(vps: Vps) -> tuple[Person, dict[str, tuple[str, str, Any]]]:
    """An admin, and what they may do: method, path and body by name."""
    student, teacher = await make_student(vps), await make_teacher(vps)
    await verify_teacher(vps, teacher)
    waiting = await submitted_course(teacher)
    sold, free = await published_course(vps, teacher), await published_course(vps, teacher, amount=0)
    payment = (await buy(student, sold))["payment"]["id"]
    done(await student.post(f"{free.path}/enroll"), 201)
    key = (await vps.row("SELECT id FROM keys WHERE payment_id IS NULL"))["id"]
    other, banned = await make_student(vps, "ali"), await make_student(vps, "mona")
    demoted = await make_teacher(vps, "huda")
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=banned.id)
    return await sign_in(vps, "root-admin"), {
        "ban": ("POST", f"/api/admin/users/{other.id}/ban", None),
        "activate": ("POST", f"/api/admin/users/{banned.id}/activate", None),
        "role": ("PUT", f"/api/admin/users/{other.id}/role", {"role": "teacher"}),
        "verify": ("POST", f"/api/admin/teachers/{demoted.username}/verify", None),
        "demote": ("POST", "/api/admin/teachers/omar/demote", None),
        "approve": ("POST", f"/api/admin/courses/{waiting.id}/approve", None),
        "reject": ("POST", f"/api/admin/courses/{waiting.id}/reject", {"reason": "No sound"}),
        "unpublish": ("POST", f"/api/admin/courses/{sold.id}/unpublish", None),
        "refund": ("POST", f"/api/admin/payments/{payment}/refund", None),
        "void": ("POST", f"/api/admin/keys/{key}/void", None),
    }


async def told(vps: Vps) -> list[Any]:
    return [await vps.rows(statement) for statement in STATES]


@pytest.mark.parametrize("end", [BANNED, SIGNED_OUT], ids=["banned", "signed out everywhere"])
async def test_who_stopped_being_an_admin_a_moment_ago_changes_nothing(
    vps: Vps, simulator: Simulator, end: str
) -> None:
    """They were let in while that was not committed yet."""
    admin, acts = await scene(vps)
    for name, (method, path, body) in acts.items():
        before = await told(vps)
        async with vps.sessions() as session:
            await session.execute(text(end), {"id": admin.id})
            act = asyncio.create_task(admin.send(method, path, json=body))
            await is_answered_or_waits(vps, act)
            await session.commit()
        refused(await act, 401, "not_authenticated")
        await vps.rows(AGAIN, id=admin.id)
        assert await told(vps) == before, name


async def test_who_is_an_admin_still_does_all_of_it(vps: Vps, simulator: Simulator) -> None:
    admin, acts = await scene(vps)
    for name, (method, path, body) in acts.items():
        answer = await admin.send(method, path, json=body)
        assert answer.status_code == (409 if name == "reject" else 200), (name, answer.text)
