"""Asking again about payments that nobody told us of: found, given up after a day, and never moved wrongly."""

from typing import Any

import pytest

from tests.simulator import Simulator
from tests.vps.people import (
    announced,
    done,
    make_student,
    make_teacher,
    order,
    pay,
    published_course,
    refused,
    sign_in,
    verify,
)
from tests.vps.running import Vps
from vps_service.payments.actions import recheck_pending

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]


async def recheck(vps: Vps, older_than_s: float = 0) -> int:
    provider = vps.app.state.vps.provider
    return await recheck_pending(vps.sessions, provider, vps.settings.platform_fee_percent, older_than_s)


async def ordered(vps: Vps, count: int = 1) -> list[dict[str, Any]]:
    course = await published_course(vps, await make_teacher(vps))
    students = [await make_student(vps, f"student{number}") for number in range(count)]
    return [done(await order(student, course), 201) for student in students]


async def statuses(vps: Vps) -> list[str]:
    return [row["status"] for row in await vps.rows("SELECT status FROM payments ORDER BY id")]


async def age(vps: Vps, payment: dict[str, Any], hours: float) -> None:
    older = "UPDATE payments SET created_at = created_at - make_interval(mins => :minutes) WHERE id = :id"
    await vps.rows(older, minutes=round(hours * 60), id=payment["id"])


async def test_a_payment_nobody_told_us_of_is_found(vps: Vps) -> None:
    paid, failed, _ = await ordered(vps, 3)
    await pay(paid)
    await pay(failed, "failed")
    assert await recheck(vps, older_than_s=3600) == 0
    assert await statuses(vps) == ["pending"] * 3
    assert await recheck(vps) == 2
    assert await statuses(vps) == ["paid", "failed", "pending"]
    assert await recheck(vps) == 0
    assert len(await announced(vps, "key_granted")) == 1


async def test_more_than_one_batch_is_asked_about(vps: Vps) -> None:
    payments = await ordered(vps, 53)
    for payment in payments[-2:]:
        await pay(payment)
    assert await recheck(vps) == 2
    assert await statuses(vps) == ["pending"] * 51 + ["paid"] * 2


async def test_what_stays_pending_for_a_day_is_given_up_for_good(vps: Vps) -> None:
    old, young, paid = await ordered(vps, 3)
    for payment, hours in ((old, 24.1), (young, 23.9), (paid, 48)):
        await age(vps, payment, hours)
    await pay(paid)
    assert await recheck(vps) == 2
    assert await statuses(vps) == ["expired", "pending", "paid"]
    await pay(old)
    assert await recheck(vps) == 0
    student = await sign_in(vps, "student0")
    assert done(await verify(student, old))["key"] is None
    assert (await statuses(vps))[0] == "expired"
    admin = await sign_in(vps, "root-admin")
    refused(await admin.post(f"/api/admin/payments/{old['id']}/refund"), 409, "payment_not_paid")


async def test_who_was_given_up_can_order_again(vps: Vps) -> None:
    (old,) = await ordered(vps)
    await age(vps, old, 25)
    await recheck(vps)
    student = await sign_in(vps, "student0")
    again = done(await student.post("/api/payments", {"course_id": old["course_id"], "provider": "simulator"}), 201)
    assert (again["id"] != old["id"], again["status"]) == (True, "pending")


async def test_word_of_another_order_moves_nothing_and_holds_nobody_up(vps: Vps, simulator: Simulator) -> None:
    odd, paid = await ordered(vps, 2)
    for payment in (odd, paid):
        await pay(payment)
    simulator.falsify(odd["id"], "amount", 1)
    assert await recheck(vps) == 1
    assert await statuses(vps) == ["pending", "paid"]


async def test_what_the_provider_does_not_know_is_given_up_after_a_day_and_holds_nobody_up(vps: Vps) -> None:
    old, young, paid = await ordered(vps, 3)
    for payment in (old, young):
        await vps.rows("UPDATE payments SET provider_ref = 'lost' || provider_ref WHERE id = :id", id=payment["id"])
    await age(vps, old, 24.1)
    await age(vps, young, 23.9)
    await pay(paid)
    assert await recheck(vps) == 2
    assert await statuses(vps) == ["expired", "pending", "paid"]
    assert await recheck(vps) == 0


@pytest.mark.settings(simulator_url="http://127.0.0.1:9")
async def test_a_provider_that_is_down_ends_the_round_quietly(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    refused(await order(student, course), 503, "provider_unreachable")
    await vps.rows("UPDATE payments SET provider_ref = 'x', created_at = now() - interval '2 days'")
    assert await recheck(vps) == 0
    assert await statuses(vps) == ["pending"]
