"""Refunds by an admin, and free enrolments taken away: the money, the key and the announcement go together, once."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.settings import vps_settings
from tests.simulator import Simulator
from tests.vps.people import (
    Person,
    announced,
    buy,
    done,
    make_admin,
    make_student,
    make_teacher,
    order,
    pay,
    price,
    published_course,
    refused,
    sign_in,
    store_video,
    verify,
)
from tests.vps.running import Vps, running

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]


async def refund(admin: Person, payment: dict[str, Any]) -> Any:
    return await admin.post(f"/api/admin/payments/{payment['id']}/refund")


async def ledger(vps: Vps) -> dict[tuple[str, str], int]:
    rows = await vps.rows("SELECT reason, account, amount FROM ledger_entries")
    return {(row["reason"], row["account"]): row["amount"] for row in rows}


async def admin_of(vps: Vps) -> Person:
    return await sign_in(vps, "root-admin")


@pytest.mark.settings(platform_fee_percent=15)
async def test_a_refund_takes_the_key_and_what_the_sale_credited(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 10_000)
    await store_video(vps, course)
    bought = await buy(student, course)
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(8_500)
    answer = done(await refund(await admin_of(vps), bought["payment"]))
    assert (answer["id"], answer["status"], answer["price"]) == (bought["payment"]["id"], "refunded", price(10_000))
    refused(await student.get(f"{course.path}/key"), 404, "key_not_found")
    assert [key["status"] for key in done(await student.get("/api/keys"))["items"]] == ["void"]
    assert await ledger(vps) == {
        ("sale", "provider"): -10_000,
        ("sale", "platform"): 1_500,
        ("sale", "teacher"): 8_500,
        ("refund", "provider"): 10_000,
        ("refund", "platform"): -1_500,
        ("refund", "teacher"): -8_500,
    }
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)
    about = {"user_id": str(student.id), "course_id": course.id}
    assert await announced(vps, "key_granted", "key_refunded") == [
        {"kind": "key_granted", **about},
        {"kind": "key_refunded", **about},
    ]
    receipt = done(await verify(student, bought["payment"]))
    assert (receipt["payment"]["status"], receipt["key"]["status"], receipt["videos"]) == ("refunded", "void", [])


async def test_refunding_again_answers_the_same_and_changes_nothing(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    bought = await buy(student, await published_course(vps, teacher))
    admin = await admin_of(vps)
    first = done(await refund(admin, bought["payment"]))
    for _ in range(2):
        assert done(await refund(admin, bought["payment"])) == first
    assert len(await vps.rows("SELECT 1 FROM ledger_entries")) == 6
    assert len(await announced(vps, "key_refunded")) == 1


async def test_twenty_refunds_at_once_are_one_reversal(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    bought = await buy(student, await published_course(vps, teacher))
    admin = await admin_of(vps)
    answers = await asyncio.gather(*(refund(admin, bought["payment"]) for _ in range(20)))
    assert {done(answer)["status"] for answer in answers} == {"refunded"}
    assert len(await vps.rows("SELECT 1 FROM ledger_entries WHERE reason = 'refund'")) == 3
    assert len(await announced(vps, "key_refunded")) == 1
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)


async def test_only_what_was_paid_is_refunded(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    admin = await admin_of(vps)
    payment = done(await order(student, course), 201)
    refused(await refund(admin, payment), 409, "payment_not_paid")
    await pay(payment, "failed")
    done(await verify(student, payment))
    refused(await refund(admin, payment), 409, "payment_not_paid")
    assert await ledger(vps) == {}
    assert await announced(vps, "key_refunded") == []


async def test_what_the_provider_does_not_refund_stays_paid(vps: Vps, simulator: Simulator) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    bought, admin = await buy(student, course), await admin_of(vps)
    simulator.falsify(bought["payment"]["id"], "status", "failed")
    refused(await refund(admin, bought["payment"]), 409, "refund_refused")
    simulator.falsify(bought["payment"]["id"], "status", "paid")
    simulator.falsify(bought["payment"]["id"], "amount", 1)
    refused(await refund(admin, bought["payment"]), 409, "payment_mismatch")
    assert done(await student.get(f"{course.path}/key"))["key"]["status"] == "active"
    assert await announced(vps, "key_refunded") == []


async def test_after_a_refund_the_course_can_be_bought_again(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    first = await buy(student, course)
    done(await refund(await admin_of(vps), first["payment"]))
    second = await buy(student, course)
    assert second["payment"]["id"] != first["payment"]["id"]
    assert done(await student.get(f"{course.path}/key"))["key"] == second["key"]
    done(await refund(await admin_of(vps), first["payment"]))  # once more: the second is not touched
    assert done(await student.get(f"{course.path}/key"))["key"] == second["key"]


async def test_money_that_came_for_nothing_is_refunded_from_the_platform(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 7_000)
    payment = done(await order(student, course), 201)
    await pay(payment)
    await teacher.delete(course.path)
    done(await verify(student, payment))
    done(await refund(await admin_of(vps), payment))
    assert await ledger(vps) == {
        ("undeliverable", "provider"): -7_000,
        ("undeliverable", "platform"): 7_000,
        ("refund", "provider"): 7_000,
        ("refund", "platform"): -7_000,
    }


async def test_a_refund_after_the_course_was_deleted_debits_the_teacher(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 7_000)
    bought = await buy(student, course)
    await teacher.delete(course.path)
    done(await refund(await admin_of(vps), bought["payment"]))
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)
    assert [key["status"] for key in done(await student.get("/api/keys"))["items"]] == ["void"]


async def test_refunding_and_deleting_at_once_both_hold(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    for number in range(6):
        student, course = await make_student(vps, f"student{number}"), await published_course(vps, teacher)
        bought, admin = await buy(student, course), await admin_of(vps)
        deleted, refunded = await asyncio.gather(teacher.delete(course.path), refund(admin, bought["payment"]))
        assert (deleted.status_code, done(refunded)["status"]) == (204, "refunded")
    assert await vps.rows("SELECT 1 FROM keys WHERE status = 'active'") == []
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)


async def test_a_provider_that_is_down_leaves_everything_as_it_is(
    database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    flaky = Simulator(tmp_path, secrets_folder)
    flaky.start()
    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=flaky.url)
    async with running(settings, secrets_folder) as vps:
        teacher, student = await make_teacher(vps), await make_student(vps)
        course = await published_course(vps, teacher)
        bought, admin = await buy(student, course), await admin_of(vps)
        flaky.stop()
        down = await refund(admin, bought["payment"])
        refused(down, 503, "provider_unreachable")
        assert int(down.headers["retry-after"]) > 0
        assert done(await student.get(f"{course.path}/key"))["key"]["status"] == "active"
        assert await announced(vps, "key_refunded") == []
        flaky.start()
        assert done(await refund(admin, bought["payment"]))["status"] == "refunded"
        flaky.stop()


async def test_a_refund_the_vps_did_not_live_to_see_is_caught_up_with(vps: Vps, simulator: Simulator) -> None:
    """The provider gave the money back, and then the VPS died: the admin asks again."""
    teacher, student = await make_teacher(vps), await make_student(vps)
    bought = await buy(student, await published_course(vps, teacher))
    simulator.falsify(bought["payment"]["id"], "status", "refunded")
    assert done(await refund(await admin_of(vps), bought["payment"]))["status"] == "refunded"
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)


# --- free enrolments ----------------------------------------------------------------------------------------


async def test_a_free_enrolment_can_be_taken_away_and_come_again(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    key = done(await student.post(f"{course.path}/enroll"), 201)["key"]
    admin = await admin_of(vps)
    answers = await asyncio.gather(*(admin.post(f"/api/admin/keys/{key['id']}/void") for _ in range(20)))
    assert all(done(answer) == {**key, "status": "void"} for answer in answers)
    refused(await student.get(f"{course.path}/key"), 404, "key_not_found")
    told = {"kind": "key_voided", "user_id": str(student.id), "course_id": course.id}
    assert await announced(vps, "key_voided") == [told]
    done(await student.post(f"{course.path}/enroll"), 201)
    assert done(await admin.post(f"/api/admin/keys/{key['id']}/void"))["status"] == "void"
    assert len(await announced(vps, "key_voided")) == 1
    done(await student.get(f"{course.path}/key"))


async def test_a_key_that_was_paid_is_refunded_not_voided(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    bought, admin = await buy(student, course), await make_admin(vps, "other-admin")
    refused(await admin.post(f"/api/admin/keys/{bought['key']['id']}/void"), 409, "key_was_paid")
    done(await student.get(f"{course.path}/key"))
    assert await announced(vps, "key_voided") == []
