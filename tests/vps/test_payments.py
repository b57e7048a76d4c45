"""Buying a course: only the provider's word mints a key, and exactly one."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.settings import vps_settings
from tests.simulator import Simulator
from tests.vps.people import (
    announced,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    order,
    pay,
    price,
    published_course,
    refused,
    store_video,
    verify,
)
from tests.vps.running import Vps, running

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]

UNKNOWN = "019a0000-0000-7000-8000-000000000000"
OTHER_ID = "019a1111-0000-7000-8000-000000000000"


async def legs(vps: Vps) -> dict[str, int]:
    """The ledger: what each account has."""
    rows = await vps.rows("SELECT account, sum(amount)::int AS amount FROM ledger_entries GROUP BY account")
    return {row["account"]: row["amount"] for row in rows}


async def is_held(vps: Vps, payment: dict[str, Any]) -> None:
    """The payment's ledger entries are the platform's debt to the buyer, and add up to zero."""
    entries = "SELECT account, amount, reason FROM ledger_entries WHERE payment_id = :id ORDER BY account"
    held = [(row["account"], row["amount"], row["reason"]) for row in await vps.rows(entries, id=payment["id"])]
    amount = payment["price"]["amount"]
    assert held == [("platform", amount, "undeliverable"), ("provider", -amount, "undeliverable")]


async def nothing_was_granted(vps: Vps) -> None:
    for table in ("keys", "ledger_entries"):
        assert await vps.rows(f"SELECT * FROM {table}") == [], table
    assert await announced(vps, "key_granted") == []


async def test_a_purchase_is_pending_until_the_provider_says_paid(vps: Vps, simulator: Simulator) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 25_000)
    video = await store_video(vps, course)
    payment = done(await order(student, course), 201)
    assert (payment["status"], payment["price"], payment["paid_at"]) == ("pending", price(25_000), None)
    assert payment["action"]["kind"] == "redirect"
    assert payment["action"]["url"].startswith(f"{simulator.url}/pay/")
    unpaid = done(await verify(student, payment))
    assert (unpaid["payment"], unpaid["key"], unpaid["videos"]) == (payment, None, [])
    await nothing_was_granted(vps)
    await pay(payment)
    bought = done(await verify(student, payment))
    assert (bought["payment"]["status"], bought["payment"]["action"]) == ("paid", None)
    assert bought["payment"]["paid_at"].endswith("Z")
    assert (bought["key"]["status"], bought["key"]["course"]) == ("active", {"id": course.id, "title": "The oud"})
    newest = (await vps.row("SELECT last FROM change_counter"))["last"]
    uri = f"http://node-1.test/videos/{video}/stream?after={newest}"
    assert bought["videos"] == [{"lesson_id": course.lesson_id, "title": "Holding it", "node": "node-1", "uri": uri}]


async def test_verifying_again_answers_the_same(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    bought = await buy(student, course)
    for _ in range(2):
        assert done(await verify(student, bought["payment"])) == bought
    assert len(await vps.rows("SELECT 1 FROM keys")) == 1


async def test_fifty_parallel_verifies_make_one_key_and_one_sale(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    payment = done(await order(student, await published_course(vps, teacher)), 201)
    await pay(payment)
    answers = await asyncio.gather(*(verify(student, payment) for _ in range(50)))
    assert len({done(answer)["key"]["id"] for answer in answers}) == 1
    assert len(await vps.rows("SELECT 1 FROM keys")) == 1
    assert len(await vps.rows("SELECT 1 FROM ledger_entries")) == 3
    assert len(await vps.rows("SELECT 1 FROM changes WHERE kind = 'key_granted'")) == 1


async def test_twenty_parallel_orders_are_one_payment_and_one_checkout(vps: Vps, simulator: Simulator) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course, before = await published_course(vps, teacher), simulator.checkouts()
    answers = await asyncio.gather(*(order(student, course) for _ in range(20)))
    assert len({done(answer, 201)["id"] for answer in answers}) == 1
    assert simulator.checkouts() == before + 1
    assert len(await vps.rows("SELECT 1 FROM payments")) == 1


async def test_a_sale_is_owed_to_the_teacher(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    await buy(student, await published_course(vps, teacher, 9_999))
    assert await legs(vps) == {"provider": -9_999, "platform": 0, "teacher": 9_999}
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(9_999)


@pytest.mark.settings(platform_fee_percent=15)
async def test_the_platform_takes_its_fee_and_the_ledger_adds_up_to_zero(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    for amount in (1, 7, 9_999):
        await buy(student, await published_course(vps, teacher, amount))
    sums = await legs(vps)
    assert sums == {"provider": -10_007, "platform": 0 + 1 + 1499, "teacher": 1 + 6 + 8500}
    assert sum(sums.values()) == 0
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(8507)


# --- what the provider says is compared with what was ordered ----------------------------------------


@pytest.mark.parametrize(
    ("column", "value"),
    [("amount", 9_999), ("amount", 1), ("amount", 10_001), ("currency", "USD"), ("reference", OTHER_ID)],
)
@pytest.mark.parametrize("status", ["paid", "failed"])
async def test_a_charge_that_is_not_the_order_gives_no_key(
    vps: Vps, simulator: Simulator, column: str, value: Any, status: str
) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    payment = done(await order(student, await published_course(vps, teacher, 10_000)), 201)
    await pay(payment, status)
    value = value if column != "reference" else f"{OTHER_ID[:-12]}{payment['id'][-12:]}"
    simulator.falsify(payment["id"], column, value)
    refused(await verify(student, payment), 409, "payment_mismatch")
    await nothing_was_granted(vps)
    assert done(await student.get("/api/payments"))["items"][0]["status"] == "pending"


async def test_a_checkout_paid_for_another_order_gives_no_key(vps: Vps, simulator: Simulator) -> None:
    teacher, student, other = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    course = await published_course(vps, teacher)
    paid, unpaid = done(await order(other, course), 201), done(await order(student, course), 201)
    await pay(paid)
    await vps.rows("UPDATE payments SET provider_ref = 'x' WHERE id = :id", id=paid["id"])
    ref = paid["action"]["url"].rpartition("/")[2]
    await vps.rows("UPDATE payments SET provider_ref = :ref WHERE id = :id", ref=ref, id=unpaid["id"])
    refused(await verify(student, unpaid), 409, "payment_mismatch")
    await nothing_was_granted(vps)


async def test_a_failed_payment_gives_no_key_and_leaves_room_for_another(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    payment = done(await order(student, course), 201)
    await pay(payment, "failed")
    for _ in range(2):
        failed = done(await verify(student, payment))
        assert (failed["payment"]["status"], failed["key"], failed["videos"]) == ("failed", None, [])
    await nothing_was_granted(vps)
    assert (await buy(student, course))["payment"]["id"] != payment["id"]


async def test_a_settled_payment_stays_settled_whatever_the_provider_says_later(vps: Vps, simulator: Simulator) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course, other = await published_course(vps, teacher), await published_course(vps, teacher)
    bought = await buy(student, course)
    simulator.falsify(bought["payment"]["id"], "status", "failed")
    assert done(await verify(student, bought["payment"])) == bought
    declined = done(await order(student, other), 201)
    await pay(declined, "failed")
    done(await verify(student, declined))
    simulator.falsify(declined["id"], "status", "paid")
    assert done(await verify(student, declined))["key"] is None


async def test_somebody_elses_payment_is_not_there(vps: Vps) -> None:
    teacher, student, other = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    payment = done(await order(student, await published_course(vps, teacher)), 201)
    await pay(payment)
    for person in (other, teacher, await make_admin(vps, "other-admin")):
        refused(await verify(person, payment), 404, "payment_not_found")
        assert done(await person.get("/api/payments"))["items"] == []
    refused(await verify(student, {"id": UNKNOWN}), 404, "payment_not_found")
    refused(await verify(student, {"id": "letmein"}), 422, "validation_failed")
    refused(await vps.http.post(f"/api/payments/{payment['id']}/verify"), 401, "not_authenticated")
    await nothing_was_granted(vps)


async def test_what_a_client_sends_along_with_verify_is_not_believed(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    payment = done(await order(student, await published_course(vps, teacher)), 201)
    path = f"/api/payments/{payment['id']}/verify?status=paid"
    answer = done(await student.post(path, {"status": "paid", "provider_ref": "x"}))
    assert (answer["payment"]["status"], answer["key"]) == ("pending", None)


# --- what can be bought ------------------------------------------------------------------------------------


async def test_a_course_one_owns_cannot_be_bought_again(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    await buy(student, course)
    refused(await order(student, course), 409, "already_owned")


async def test_nobody_buys_their_own_course_nor_a_free_one_nor_a_hidden_one(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    refused(await order(teacher, await published_course(vps, teacher)), 409, "own_course")
    refused(await order(student, await published_course(vps, teacher, 0)), 409, "course_is_free")
    refused(await order(student, await draft_course(teacher)), 404, "course_not_found")
    refused(await order(teacher, await draft_course(teacher)), 409, "own_course")


async def test_a_teacher_buys_from_another_and_an_admin_from_nobody(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    course = await published_course(vps, teacher)
    assert (await buy(other, course))["key"]["status"] == "active"
    refused(await order(await make_admin(vps, "other-admin"), course), 403, "wrong_role")


@pytest.mark.parametrize("extra", ["price", "amount", "status", "user_id", "provider_ref"])
async def test_a_purchase_names_a_course_and_a_provider_only(vps: Vps, extra: str) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    purchase = {"course_id": course.id, "provider": "simulator", extra: 1}
    problem = refused(await student.post("/api/payments", purchase), 422, "validation_failed")
    assert problem["errors"][0]["field"] == f"body.{extra}"


async def test_another_provider_is_not_offered(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    for provider in ("stripe", "Simulator", ""):
        purchase = {"course_id": course.id, "provider": provider}
        refused(await student.post("/api/payments", purchase), 409, "provider_not_offered")


@pytest.mark.settings(payment_provider="", simulator_secret=None)
async def test_a_platform_without_a_provider_sells_nothing(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    refused(await order(student, await published_course(vps, teacher)), 409, "provider_not_offered")


# --- the world moves on between create and verify ---------------------------------------------------------


async def test_a_new_price_does_not_change_what_was_ordered(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 10_000)
    payment = done(await order(student, course), 201)
    done(await teacher.patch(course.path, {"price": price(99_000)}))
    assert done(await order(student, course), 201)["price"] == price(10_000)
    await pay(payment)
    assert done(await verify(student, payment))["key"]["status"] == "active"
    assert (await legs(vps))["teacher"] == 10_000
    later = done(await order(await make_student(vps, "ali"), course), 201)
    assert later["price"] == price(99_000)


async def test_money_for_a_course_deleted_meanwhile_leaves_a_void_receipt(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    await store_video(vps, course)
    payment = done(await order(student, course), 201)
    await pay(payment)
    assert (await teacher.delete(course.path)).status_code == 204
    for _ in range(2):
        answer = done(await verify(student, payment))
        assert (answer["payment"]["status"], answer["key"]["status"], answer["videos"]) == ("paid", "void", [])
    await is_held(vps, payment)
    assert await vps.rows("SELECT 1 FROM changes WHERE kind = 'key_granted'") == []
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)


async def test_money_for_a_course_that_became_free_and_was_enrolled_in_meanwhile_is_held(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    payment = done(await order(student, course), 201)
    done(await teacher.patch(course.path, {"price": price(0)}))
    key = done(await student.post(f"{course.path}/enroll"), 201)["key"]
    await pay(payment)
    answer = done(await verify(student, payment))
    assert (answer["payment"]["status"], answer["key"]) == ("paid", key)
    await is_held(vps, payment)
    assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)
    assert sorted(key["status"] for key in done(await student.get("/api/keys"))["items"]) == ["active", "void"]


async def test_deleting_and_verifying_at_once_never_leaves_a_live_key(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    for number in range(8):
        student, course = await make_student(vps, f"student{number}"), await published_course(vps, teacher)
        payment = done(await order(student, course), 201)
        await pay(payment)
        _, verified = await asyncio.gather(teacher.delete(course.path), verify(student, payment))
        assert done(verified)["payment"]["status"] == "paid"
    assert await vps.rows("SELECT 1 FROM keys WHERE status = 'active'") == []
    assert len(await vps.rows("SELECT 1 FROM keys")) == 8


# --- Idempotency-Key ----------------------------------------------------------------------------------------


async def test_the_same_idempotency_key_is_the_same_purchase_even_when_it_failed(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    first = done(await order(student, course, "order-0001"), 201)
    assert done(await order(student, course, "order-0001"), 201) == first
    await pay(first, "failed")
    done(await verify(student, first))
    again = done(await order(student, course, "order-0001"), 201)
    assert (again["id"], again["status"]) == (first["id"], "failed")
    other = done(await order(student, course, "order-0002"), 201)
    assert (other["id"] != first["id"], other["status"]) == (True, "pending")


async def test_a_repeated_order_after_paying_still_answers_the_first(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    first = done(await order(student, course, "order-0001"), 201)
    await pay(first)
    done(await verify(student, first))
    again = done(await order(student, course, "order-0001"), 201)
    assert (again["id"], again["status"], again["action"]) == (first["id"], "paid", None)


async def test_an_idempotency_key_is_for_one_purchase_of_one_buyer(vps: Vps) -> None:
    teacher, student, other = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    oud, nay = await published_course(vps, teacher), await published_course(vps, teacher)
    mine = done(await order(student, oud, "order-0001"), 201)
    refused(await order(student, nay, "order-0001"), 409, "idempotency_key_reused")
    assert done(await order(other, oud, "order-0001"), 201)["id"] != mine["id"]
    for bad in ("short", "x" * 201):
        refused(await order(student, nay, bad), 422, "validation_failed")


async def test_one_idempotency_key_for_many_courses_at_once_is_one_payment(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    courses = [await published_course(vps, teacher) for _ in range(6)]
    answers = await asyncio.gather(*(order(student, course, "order-0001") for course in courses))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
    assert len(await vps.rows("SELECT 1 FROM payments")) == 1


# --- the provider is down -------------------------------------------------------------------------------------


async def test_a_provider_that_is_down_is_said_so_and_a_retry_goes_on_where_it_was(
    database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    flaky = Simulator(tmp_path, secrets_folder)
    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=flaky.url)
    async with running(settings, secrets_folder) as vps:
        teacher, student = await make_teacher(vps), await make_student(vps)
        course = await published_course(vps, teacher)
        down = await order(student, course, "order-0001")
        refused(down, 503, "provider_unreachable")
        assert int(down.headers["retry-after"]) > 0
        (waiting,) = done(await student.get("/api/payments"))["items"]
        assert (waiting["status"], waiting["action"]) == ("pending", None)
        assert done(await verify(student, waiting))["key"] is None

        flaky.start()
        payment = done(await order(student, course, "order-0001"), 201)
        assert payment["id"] == waiting["id"]
        await pay(payment)
        flaky.stop()
        down = await verify(student, payment)
        refused(down, 503, "provider_unreachable")
        assert int(down.headers["retry-after"]) > 0
        await nothing_was_granted(vps)

        flaky.start()  # its books are on its disk
        assert done(await verify(student, payment))["key"]["status"] == "active"
        flaky.stop()


@pytest.mark.settings(simulator_secret="w" * 8 + "QZ4mVt7Kp2Xc9LrN5bHs8JdF3gTy6")
async def test_a_provider_that_does_not_know_us_is_as_good_as_down(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    refused(await order(student, await published_course(vps, teacher)), 503, "provider_unreachable")
    await nothing_was_granted(vps)


async def test_payments_are_listed_newest_first_in_pages(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    made = [done(await order(student, await published_course(vps, teacher)), 201)["id"] for _ in range(3)]
    first = done(await student.get("/api/payments?limit=2"))
    rest = done(await student.get(f"/api/payments?limit=2&cursor={first['next']}"))
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next"] is None
