"""Disputes at the provider: the key goes, comes back when the dispute is won, and the ledger follows."""

import asyncio
from typing import Any

import pytest

from tests.simulator import Simulator
from tests.vps.people import (
    Course,
    Person,
    announced,
    buy,
    done,
    make_student,
    make_teacher,
    order,
    pay,
    price,
    published_course,
    refused,
    sign_in,
    verify,
)
from tests.vps.running import Vps
from tests.vps.webhooks import hook, ref_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]

ABOUT_KEYS = ("key_granted", "key_refunded", "key_disputed", "key_voided")


async def bought_course(vps: Vps, amount: int = 10_000) -> tuple[Person, Person, Course, dict[str, Any]]:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, amount)
    payment = done(await order(student, course), 201)
    await happens(vps, payment, "paid")
    return teacher, student, course, payment


async def happens(vps: Vps, payment: dict[str, Any], outcome: str) -> None:
    """At the provider, who tells the VPS."""
    await pay(payment, outcome)
    done(await hook(vps, ref_of(payment)), 204)


async def kinds(vps: Vps) -> list[str]:
    return [change["kind"] for change in await announced(vps, *ABOUT_KEYS)]


async def status_of(vps: Vps, payment: dict[str, Any]) -> str:
    return str((await vps.row("SELECT status FROM payments WHERE id = :id", id=payment["id"]))["status"])


async def balance(teacher: Person) -> int:
    return int(done(await teacher.get("/api/auth/me"))["balance"]["amount"])


async def holds_key(student: Person, course: Course) -> bool:
    return (await student.get(f"{course.path}/key")).status_code == 200


async def adds_up(vps: Vps) -> None:
    sums = "SELECT sum(amount)::int AS sum FROM ledger_entries GROUP BY payment_id, reason, round"
    assert {row["sum"] for row in await vps.rows(sums)} == {0}


@pytest.mark.settings(platform_fee_percent=15)
async def test_a_dispute_takes_the_key_and_a_won_one_brings_it_back(vps: Vps) -> None:
    teacher, student, course, payment = await bought_course(vps)
    key = done(await student.get(f"{course.path}/key"))["key"]
    for _ in range(2):  # a second round of the same quarrel
        await happens(vps, payment, "disputed")
        assert (await status_of(vps, payment), await balance(teacher)) == ("disputed", 0)
        assert not await holds_key(student, course)
        await happens(vps, payment, "paid")
        assert (await status_of(vps, payment), await balance(teacher)) == ("paid", 8_500)
        assert done(await student.get(f"{course.path}/key"))["key"] == key
        await adds_up(vps)
    assert await kinds(vps) == ["key_granted", "key_disputed", "key_granted", "key_disputed", "key_granted"]
    about = {"user_id": str(student.id), "course_id": course.id}
    assert (await announced(vps, "key_disputed"))[0] == {"kind": "key_disputed", **about}


async def test_a_lost_dispute_is_a_refund_and_takes_nothing_twice(vps: Vps) -> None:
    teacher, student, course, payment = await bought_course(vps)
    await happens(vps, payment, "disputed")
    await happens(vps, payment, "refunded")
    assert (await status_of(vps, payment), await balance(teacher)) == ("refunded", 0)
    assert not await holds_key(student, course)
    assert len(await vps.rows("SELECT 1 FROM ledger_entries")) == 6
    await adds_up(vps)
    for late in ("paid", "disputed"):
        await happens(vps, payment, late)
    assert (await status_of(vps, payment), await balance(teacher)) == ("refunded", 0)
    assert await kinds(vps) == ["key_granted", "key_disputed", "key_refunded"]


async def test_an_admin_refunds_what_is_disputed(vps: Vps) -> None:
    teacher, student, course, payment = await bought_course(vps)
    await happens(vps, payment, "disputed")
    admin = await sign_in(vps, "root-admin")
    assert done(await admin.post(f"/api/admin/payments/{payment['id']}/refund"))["status"] == "refunded"
    assert (await balance(teacher), await holds_key(student, course)) == (0, False)


async def test_what_was_paid_and_lost_before_we_heard_of_it_never_leaves_a_live_key(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    for number, end in enumerate(("refunded", "disputed")):
        student, course = await make_student(vps, f"student{number}"), await published_course(vps, teacher)
        payment = done(await order(student, course), 201)
        await pay(payment)
        await happens(vps, payment, end)
        assert (await status_of(vps, payment), await balance(teacher)) == (end, 0)
        assert not await holds_key(student, course)
        answer = done(await verify(student, payment))
        assert (answer["key"]["status"], answer["videos"]) == ("void", [])
    await adds_up(vps)


async def test_a_dispute_won_after_the_course_was_bought_again_is_owed_to_the_buyer(vps: Vps) -> None:
    teacher, student, course, payment = await bought_course(vps)
    await happens(vps, payment, "disputed")
    again = await buy(student, course)
    await happens(vps, payment, "paid")
    assert done(await student.get(f"{course.path}/key"))["key"] == again["key"]
    assert await balance(teacher) == 10_000  # for the second only
    assert len(await vps.rows("SELECT 1 FROM keys WHERE status = 'active'")) == 1
    await adds_up(vps)
    await happens(vps, payment, "disputed")
    await happens(vps, payment, "paid")
    assert await holds_key(student, course)
    assert await balance(teacher) == 10_000


async def test_a_dispute_won_after_the_course_was_deleted_pays_the_teacher_and_opens_nothing(vps: Vps) -> None:
    teacher, _, course, payment = await bought_course(vps)
    await happens(vps, payment, "disputed")
    await teacher.delete(course.path)
    await happens(vps, payment, "paid")
    assert await balance(teacher) == 10_000
    assert await vps.rows("SELECT 1 FROM keys WHERE status = 'active'") == []
    assert await kinds(vps) == ["key_granted", "key_disputed"]


async def test_a_dispute_won_while_the_course_is_enrolled_in_leaves_one_live_key(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    for number in range(6):
        student, course = await make_student(vps, f"student{number}"), await published_course(vps, teacher)
        payment = done(await order(student, course), 201)
        await happens(vps, payment, "paid")
        await happens(vps, payment, "disputed")
        done(await teacher.patch(course.path, {"price": price(0)}))
        await pay(payment, "paid")
        enrolled, told = await asyncio.gather(student.post(f"{course.path}/enroll"), hook(vps, ref_of(payment)))
        assert (enrolled.status_code in (201, 409), told.status_code) == (True, 204)
        live = "SELECT 1 FROM keys WHERE user_id = :id AND status = 'active'"
        assert len(await vps.rows(live, id=student.id)) == 1
    await adds_up(vps)


@pytest.mark.parametrize("status", ["refunded", "disputed"])
@pytest.mark.parametrize(("column", "value"), [("amount", 9_999), ("currency", "USD"), ("reference", "another")])
async def test_word_of_another_order_takes_nothing_away(
    vps: Vps, simulator: Simulator, status: str, column: str, value: Any
) -> None:
    teacher, student, course, payment = await bought_course(vps)
    await pay(payment, status)
    simulator.falsify(payment["id"], column, value if column != "reference" else f"x{payment['id']}")
    done(await hook(vps, ref_of(payment)), 204)
    assert (await status_of(vps, payment), await balance(teacher)) == ("paid", 10_000)
    assert await holds_key(student, course)
    assert await kinds(vps) == ["key_granted"]


async def test_a_disputed_course_is_bought_again_at_will_and_each_key_is_its_own(vps: Vps) -> None:
    _, student, course, payment = await bought_course(vps)
    refused(await order(student, course), 409, "already_owned")
    await happens(vps, payment, "disputed")
    again = done(await order(student, course), 201)
    assert again["id"] != payment["id"]
    await happens(vps, again, "paid")
    await happens(vps, payment, "refunded")
    assert await holds_key(student, course)
