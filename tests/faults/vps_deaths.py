"""How the VPS is brought to each of its kill points, and what must be the case when it runs again.

A scenario prepares, yields for the VPS to be started doomed, acts until it dies, yields for it to be started again,
and looks.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.both.people import PASSWORD, done, draft_course, make_student, make_teacher, refused
from tests.both.toptank import eventually
from tests.faults.acts import PRICE, Cast, Order, answered, attempt, order, pay, verify
from tests.faults.webhooks import send_webhook
from tests.faults.world import World

Scenario = Callable[[World, Cast], Iterator[None]]


def does_not_answer_an_announcement(world: World, cast: Cast) -> Iterator[None]:
    """The node sends it again."""
    course = cast.draft()
    yield
    video_id = cast.upload(course.lesson_id)
    yield
    eventually(lambda: course.video_ids() == [video_id])


def does_not_agree_to_a_deletion(world: World, cast: Cast) -> Iterator[None]:
    """Then nothing is deleted."""
    course, video_id = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    yield
    refused(cast.teacher.cloud.delete(f"/videos/{video_id}"), 503, "vps_unreachable")
    assert purchase.watch().content == cast.film
    yield
    assert course.video_ids() == [video_id]
    assert purchase.watch().content == cast.film
    cast.delete_video(video_id)
    refused(purchase.watch(), 404, "video_not_found")


def commits_and_does_not_say_so(world: World, cast: Cast) -> Iterator[None]:
    """What was committed is so; the node, which nobody tells, learns it like any other change."""
    course, video_id = cast.course_on_sale(amount=0)
    student = make_student(world)
    refused(answered(lambda: student.watch(video_id)), 403, "key_required")
    world.link.refuse()  # or one of the node's own calls would be the one
    yield
    assert attempt(lambda: student.vps.post(f"/courses/{course.id}/enroll")) is None
    world.link.heal()
    yield
    refused(student.vps.post(f"/courses/{course.id}/enroll"), 409, "already_owned")
    eventually(lambda: student.watch(video_id).status_code == 200)


def _placed(world: World, cast: Cast) -> Order:
    course, _ = cast.course_on_sale()
    return order(world, make_student(world), course)


def keys_of(world: World, placed: Order) -> list[str]:
    """The states of the buyer's keys to the course."""
    keys = "SELECT status FROM keys WHERE (user_id, course_id) = (%s, %s)"
    return [status for (status,) in world.sql(keys, placed.buyer.id, placed.course.id)]


def dies_over_a_payment(world: World, cast: Cast) -> Iterator[None]:
    """The buyer asks again, and has one key, whether or not it was there already."""
    placed = _placed(world, cast)
    pay(world, placed)
    yield
    assert attempt(lambda: placed.buyer.vps.post(f"/payments/{placed.payment_id}/verify")) is None
    yield
    for _ in range(2):
        purchase = verify(world, placed)
    assert keys_of(world, placed) == ["active"]
    assert purchase.let_in().content == cast.film


def dies_over_a_webhook(world: World, cast: Cast) -> Iterator[None]:
    """The provider got no answer, so it sends it again: one grant."""
    placed = _placed(world, cast)
    pay(world, placed)
    yield
    assert attempt(lambda: send_webhook(world, placed)) is None
    yield
    assert send_webhook(world, placed).status_code == 204
    assert keys_of(world, placed) == ["active"]
    assert verify(world, placed).let_in().content == cast.film


def dies_over_a_refund(world: World, cast: Cast) -> Iterator[None]:
    """The money is back at the buyer whatever the VPS knows; asked again, it is refunded once, and watching ends."""
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    yield
    assert attempt(lambda: cast.admin.vps.post(f"/admin/payments/{purchase.payment_id}/refund")) is None
    yield
    cast.refund(purchase)
    eventually(lambda: purchase.watch().status_code == 403)
    legs = "SELECT reason, amount FROM ledger_entries WHERE payment_id = %s AND account = 'teacher' ORDER BY amount"
    assert world.sql(legs, purchase.payment_id) == [("refund", -PRICE), ("sale", PRICE)]


def refunds_and_does_not_say_so(world: World, cast: Cast) -> Iterator[None]:
    """Nobody has to ask again: the node hears of what was committed when the VPS is back."""
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    yield
    assert attempt(lambda: cast.admin.vps.post(f"/admin/payments/{purchase.payment_id}/refund")) is None
    yield
    eventually(lambda: purchase.watch().status_code == 403)
    assert done(purchase.buyer.vps.get("/payments"))["items"][0]["status"] == "refunded"
    cast.refund(purchase)


def dies_over_somebody_who_leaves(world: World, cast: Cast) -> Iterator[None]:
    """It goes on when it is back: not a row, not a file is left, and who holds a key keeps it."""
    teacher, student = make_teacher(world), make_student(world)
    course = draft_course(world, teacher)
    course.publish()
    video_id = replace(cast, teacher=teacher).upload(course.lesson_id)
    eventually(lambda: course.video_ids() == [video_id])
    done(student.vps.post(f"/courses/{course.id}/enroll"), 201)
    images = [image for (image,) in world.sql("SELECT image_id FROM users WHERE id = %s", teacher.id)]
    done(teacher.vps.send("DELETE", "/users/me", json={"password": PASSWORD}), 202)
    assert answered(lambda: student.watch(video_id)).status_code == 200
    world.ledger.deleted.add(video_id)
    yield
    world.sql("UPDATE leavings SET due_at = now()")
    yield
    eventually(lambda: world.sql("SELECT 1 FROM leavings") == [], within_s=30)
    left = world.sql("SELECT state, name, phone, image_id FROM users WHERE id = %s", teacher.id)
    assert left == [("deleted", "", None, None)]
    assert [path for image in images for path in (world.folder / "images").glob(f"{image}*")] == []
    eventually(lambda: student.watch(video_id).status_code == 404)
    eventually(lambda: (teacher.id, video_id) not in world.originals)
    (key,) = done(student.vps.get("/keys"))["items"]
    assert key["status"] == "active"


SCENARIOS: dict[str, Scenario] = {
    "event.before_commit": does_not_answer_an_announcement,
    "deletion.before_commit": does_not_agree_to_a_deletion,
    "request.committed": commits_and_does_not_say_so,
    "payment.before_commit": dies_over_a_payment,
    "payment.after_commit": dies_over_a_payment,
    "refund.after_provider": dies_over_a_refund,
    "refund.after_commit": refunds_and_does_not_say_so,
    "webhook.before_answer": dies_over_a_webhook,
    "leaving.closed": dies_over_somebody_who_leaves,
    "leaving.video_deleted": dies_over_somebody_who_leaves,
    "leaving.image_gone": dies_over_somebody_who_leaves,
    "leaving.forgotten": dies_over_somebody_who_leaves,
}
"""What brings the VPS to each point."""
