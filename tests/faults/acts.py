"""What people do, through the API as they do it; what is acknowledged is written down."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from tests.both.people import (
    PASSWORD,
    Course,
    Person,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    signed_in,
)
from tests.both.toptank import SOON_S, Node, eventually, patience
from tests.faults.world import World

PRICE = 25_000


@dataclass(frozen=True)
class Cast:
    """Who every case needs: a verified teacher with a course on sale, its film, and an admin."""

    world: World
    teacher: Person
    admin: Person
    film: bytes

    def course_on_sale(self, node: Node | None = None, amount: int = PRICE) -> tuple[Course, str]:
        """A published course with one video, which the VPS has heard of."""
        course = draft_course(self.world, self.teacher, amount=amount)
        course.publish()
        video_id = self.upload(course.lesson_id, node)
        eventually(lambda: course.video_ids() == [video_id])
        return course, video_id

    def draft(self) -> Course:
        return draft_course(self.world, self.teacher, amount=PRICE)

    def upload(self, lesson_id: str, node: Node | None = None, film: bytes | None = None) -> str:
        """The video's id; it is the cast's film where no other is given."""
        who, film = self.teacher.at(node) if node else self.teacher, film or self.film
        return written_down(self.world, done(answered(lambda: who.upload(lesson_id, film)), 201), film)

    def delete_video(self, video_id: str) -> None:
        done(answered(lambda: self.teacher.cloud.delete(f"/videos/{video_id}")), 204)
        self.world.ledger.deleted.add(video_id)

    def delete_course(self, course: Course, node: Node | None = None) -> None:
        who = self.teacher.at(node) if node else self.teacher
        done(answered(lambda: who.cloud.delete(f"/courses/{course.id}")), 204)
        self.world.ledger.deleted.add(course.id)

    def buyer_of(self, course: Course) -> "Purchase":
        return buy(self.world, make_student(self.world), course)

    def refund(self, purchase: "Purchase") -> None:
        done(self.admin.vps.post(f"/admin/payments/{purchase.payment_id}/refund"))
        self.world.ledger.refunded.add(purchase.payment_id)

    def ban(self, person: Person) -> None:
        done(self.admin.vps.post(f"/admin/users/{person.id}/ban"))
        self.world.ledger.states[person.id] = "banned"

    def activate(self, person: Person) -> None:
        done(self.admin.vps.post(f"/admin/users/{person.id}/activate"))
        self.world.ledger.states[person.id] = "active"

    def sign_out_everywhere(self, person: Person) -> None:
        done(person.vps.delete("/auth/sessions"), 204)


def make_cast(world: World, film: bytes) -> Cast:
    return Cast(world, make_teacher(world), make_admin(world), film)


def written_down(world: World, video: dict[str, Any], film: bytes) -> str:
    assert video["sha256"] == hashlib.sha256(film).hexdigest()
    world.ledger.stored[video["id"]] = video["sha256"]
    return str(video["id"])


@dataclass(frozen=True)
class Order:
    """A payment that waits for its money."""

    buyer: Person
    course: Course
    payment_id: str
    checkout: str


@dataclass(frozen=True)
class Purchase:
    """A payment that was acknowledged. `uris` are where the course's videos are, as the buyer was told."""

    buyer: Person
    course: Course
    payment_id: str
    uris: tuple[str, ...]

    def watch(self, uri: str | None = None) -> httpx.Response:
        return self.buyer.vps.http.get(uri or self.uris[0], headers=self.buyer.cloud.headers)

    def let_in(self) -> httpx.Response:
        """Watches for the first time, when the node asks the VPS about them."""
        return answered(self.watch)


def order(world: World, buyer: Person, course: Course) -> Order:
    asked = buyer.vps.post("/payments", json={"course_id": course.id, "provider": "simulator"})
    payment = done(asked, 201)
    return Order(buyer, course, payment["id"], payment["action"]["url"])


def pay(world: World, placed: Order) -> None:
    """At the provider; that the VPS knows of it is another matter."""
    assert world.http.post(f"{placed.checkout}/paid").status_code == 303


def verify(world: World, placed: Order) -> Purchase:
    answer = done(placed.buyer.vps.post(f"/payments/{placed.payment_id}/verify"))
    assert (answer["payment"]["status"], answer["key"]["status"]) == ("paid", "active")
    world.ledger.paid.add(placed.payment_id)
    uris = tuple(link["uri"] for link in answer["videos"])
    return Purchase(placed.buyer, placed.course, placed.payment_id, uris)


def buy(world: World, buyer: Person, course: Course) -> Purchase:
    placed = order(world, buyer, course)
    pay(world, placed)
    return verify(world, placed)


def sign_in_again(world: World, person: Person) -> Person:
    """The same person with a new token."""
    login = {"login": person.username, "password": PASSWORD}
    return signed_in(world, done(world.http.post(f"{world.vps.url}/api/auth/login", json=login)))


def attempt(act: Callable[[], httpx.Response]) -> httpx.Response | None:
    """The answer; None when whoever was asked died or was cut off before it came."""
    try:
        return act()
    except httpx.TransportError:
        return None


def answered(act: Callable[[], httpx.Response]) -> httpx.Response:
    """As of a node that nothing is wrong with: where its own call to the VPS took too long, it is asked again.

    It gives such a call up after TOPTANK_VPS_TIMEOUT_S, which is no failure where the whole machine stands still. Where
    that is the very thing to be shown, ask without this.
    """
    deadline = time.monotonic() + SOON_S * patience()
    while (answer := act()).status_code == 503 and answer.json()["code"] == "vps_unreachable":
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    return answer
