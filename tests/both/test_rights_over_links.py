"""Links are worth what their viewer's right is, wherever they are followed (abuse cases 23, 24, 28, 52)."""

import json
import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from uuid import uuid4

import pytest

from tests.both.people import (
    PASSWORD,
    Course,
    Person,
    done,
    draft_course,
    enroll,
    make_admin,
    make_student,
    make_teacher,
    nobody,
    published_course,
    refused,
    signed_in,
)
from tests.both.playing import CAPTIONS, Link, add_film, ask, begin, code_of, link_in, link_of
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire
from tests.clips import Clips, padded
from tests.documents import office
from vps_service.standard_webhooks import signed_headers

BOUND_S = 2.0
PRICE = 25_000
LARGE = 24 * 2**20
AT_ONCE = 32


@pytest.fixture(scope="module")
def admin(toptank: TopTank) -> Person:
    return make_admin(toptank)


def may_begin(who: Person, video_id: str) -> int:
    return who.cloud.post(f"/videos/{video_id}/playback").status_code


# --- a key of another course ------------------------------------------------------------------------------------


def test_a_key_begins_playbacks_of_its_own_course_and_of_no_other(
    toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    """User by course by video: two teachers, three courses, of two videos each."""
    courses = [draft_course(toptank, who) for who in (teacher, teacher, make_teacher(toptank))]
    videos: dict[str, int] = {}
    for number, course in enumerate(courses):
        course.publish()
        videos |= {add_film(course, clips.film, lesson): number for lesson in (course.lesson_id, course.add_lesson())}
    viewers = [make_student(toptank) for _ in courses]
    for viewer, course in zip(viewers, courses, strict=True):
        enroll(viewer, course)
    for own, viewer in enumerate(viewers):
        for video_id, number in videos.items():
            assert may_begin(viewer, video_id) == (201 if own == number else 403)
            if own == number:
                assert link_of(toptank, viewer, video_id).follow().status == 200
    both = viewers[0]
    enroll(both, courses[1])
    bought = [video_id for video_id, number in videos.items() if number < 2]
    eventually(lambda: [may_begin(both, video_id) for video_id in bought] == [201] * 4)  # the node hears of the key
    assert [may_begin(both, video_id) for video_id, number in videos.items() if number == 2] == [403] * 2


# --- whatever ends a right, while somebody watches ----------------------------------------------------------------


@dataclass(frozen=True)
class Sale:
    """A film of a course that two have bought, and both watch."""

    toptank: TopTank
    admin: Person
    course: Course
    film: str
    buyer: Person
    payment: dict[str, str]
    link: Link
    other: Link


@pytest.fixture(scope="module")
def sold(toptank: TopTank, teacher: Person, clips: Clips) -> tuple[Course, str]:
    toptank.simulator.start()
    course = draft_course(toptank, teacher, amount=PRICE)
    film = add_film(course, padded(clips.film, LARGE))
    course.publish()
    return course, film


@pytest.fixture
def sale(toptank: TopTank, admin: Person, sold: tuple[Course, str]) -> Sale:
    course, film = sold
    buyers = [make_student(toptank) for _ in range(2)]
    payments = [bought(toptank, one, course) for one in buyers]
    links = [link_of(toptank, one, film) for one in buyers]
    for link in links:
        assert link.follow(Range="bytes=0-9").status == 206
    return Sale(toptank, admin, course, film, buyers[0], payments[0], *links)


def bought(toptank: TopTank, buyer: Person, course: Course) -> dict[str, str]:
    """Its payment, and the provider's own id of that."""
    asked = done(buyer.vps.post("/payments", json={"course_id": course.id, "provider": "simulator"}), 201)
    checkout = asked["action"]["url"]
    assert toptank.http.post(f"{checkout}/paid").status_code == 303
    done(buyer.vps.post(f"/payments/{asked['id']}/verify"))
    return {"id": asked["id"], "checkout": checkout}


def happens_at_the_provider(sale: Sale, outcome: str) -> None:
    """Who tells the VPS."""
    checkout, event = sale.payment["checkout"], f"msg_{uuid4().hex}"
    assert sale.toptank.http.post(f"{checkout}/{outcome}").status_code == 303
    body = json.dumps({"id": event, "checkout": checkout.rpartition("/")[2]}).encode()
    secret = (sale.toptank.secrets / "simulator_secret").read_text().strip()
    headers = {**signed_headers(secret, event, body, time.time()), "Content-Type": "application/json"}
    answer = sale.toptank.http.post(
        f"{sale.toptank.vps.url}/api/payments/webhooks/simulator", content=body, headers=headers
    )
    assert answer.status_code == 204, answer.text


KEY_REQUIRED, GONE = (403, "key_required"), (410, "playback_expired")
ENDS: dict[str, tuple[Callable[[Sale], object], tuple[int, str]]] = {
    "an admin refunds": (
        lambda sale: done(sale.admin.vps.post(f"/admin/payments/{sale.payment['id']}/refund")),
        KEY_REQUIRED,
    ),
    "the provider refunds": (lambda sale: happens_at_the_provider(sale, "refunded"), KEY_REQUIRED),
    "the payment is disputed": (lambda sale: happens_at_the_provider(sale, "disputed"), KEY_REQUIRED),
    "a ban": (lambda sale: done(sale.admin.vps.post(f"/admin/users/{sale.buyer.id}/ban")), GONE),
    "signing out everywhere": (lambda sale: done(sale.buyer.vps.delete("/auth/sessions"), 204), GONE),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_a_right_ends_its_links_within_the_bound_and_an_answer_under_way(sale: Sale, end: str) -> None:
    act, refusal = ENDS[end]
    with Wire(sale.toptank.cloud.url) as wire:
        wire.request("GET", f"/play/{sale.link.token}/{sale.link.name}", {})
        response = wire.headers()
        got = len(response.read(2**20))
        act(sale)
        eventually(lambda: sale.link.follow(Range="bytes=0-0").status == refusal[0], within_s=BOUND_S)
        while block := response.read1(2**20):
            got += len(block)
    assert got < LARGE / 2
    for _ in range(3):
        sale.link.check_refused(*refusal)
    again = (401, "not_authenticated") if refusal == GONE else refusal
    refused(sale.buyer.cloud.post(f"/videos/{sale.film}/playback"), *again)
    assert sale.other.follow(Range="bytes=0-9").status == 206


def test_a_dispute_that_is_won_lets_the_same_link_go_on(sale: Sale) -> None:
    happens_at_the_provider(sale, "disputed")
    eventually(lambda: sale.link.follow(Range="bytes=0-0").status == 403, within_s=BOUND_S)
    happens_at_the_provider(sale, "paid")
    eventually(lambda: sale.link.follow(Range="bytes=0-0").status == 206)


# --- states of a course -----------------------------------------------------------------------------------------------

Step = Callable[[Course, Person], object]


def archive(course: Course, admin: Person) -> None:
    done(course.teacher.vps.post(f"/courses/{course.id}/archive"))


def submit(course: Course, admin: Person) -> None:
    done(course.teacher.vps.post(f"/courses/{course.id}/submit"))


def reject(course: Course, admin: Person) -> None:
    done(admin.vps.post(f"/admin/courses/{course.id}/reject", json={"reason": "no"}))


def delete(course: Course, admin: Person) -> None:
    done(course.teacher.vps.delete(f"/courses/{course.id}"), 204)


STATES: dict[str, tuple[Step, ...]] = {
    "published": (),
    "archived": (archive,),
    "pending": (archive, submit),
    "rejected": (archive, submit, reject),
    "deleted": (delete,),
}
"""What brings a published course there."""
OF_A_VIDEO = ("GET {}", "GET {}/stream", "HEAD {}/stream", "GET {}/captions/it", "POST {}/playback")


def answers(who: Person, video_id: str) -> set[int]:
    """Of every route that shows something of a video; one, when all agree."""
    asked = (route.format(f"/videos/{video_id}").split() for route in OF_A_VIDEO)
    statuses = {who.cloud.send(method, path).status_code for method, path in asked}
    return {200 if status == 201 else status for status in statuses}


@pytest.mark.parametrize("state", STATES)
def test_in_each_state_of_a_course_every_route_and_every_link_says_the_same(
    toptank: TopTank, teacher: Person, admin: Person, clips: Clips, state: str
) -> None:
    course, film = published_course(toptank, teacher, clips.film)
    preview = add_film(course, clips.film, course.add_lesson(preview=True))
    for video_id in (film, preview):
        done(teacher.cloud.put(f"/videos/{video_id}/captions/it", content=CAPTIONS))
    holder, stranger, other = make_student(toptank), make_student(toptank), make_teacher(toptank)
    enroll(holder, course)
    everybody = (holder, stranger, other, teacher, admin)
    links = [link_of(toptank, who, preview) for who in everybody]
    for step in STATES[state]:
        step(course, admin)
    closed = 200 if state == "published" else 404
    opened = 404 if state == "deleted" else 200
    expected = [opened, closed, closed, opened, opened]
    eventually(lambda: [link.follow().status for link in links] == expected, within_s=BOUND_S)
    assert [answers(who, preview) for who in everybody] == [{status} for status in expected]
    for_film = [{opened}, *[{403 if state == "published" else 404}] * 2, {opened}, {opened}]
    assert [answers(who, film) for who in everybody] == for_film
    assert answers(nobody(toptank), film) == answers(nobody(toptank), preview) == {401}
    if state == "deleted":
        done(teacher.cloud.delete(f"/courses/{course.id}"), 204)


def test_a_course_that_was_never_published_is_open_to_its_teacher_and_to_admins_alone(
    toptank: TopTank, teacher: Person, admin: Person, clips: Clips
) -> None:
    course = draft_course(toptank, teacher)
    videos = [add_film(course, clips.film), add_film(course, clips.film, course.add_lesson(preview=True))]
    for video_id in videos:
        done(teacher.cloud.put(f"/videos/{video_id}/captions/it", content=CAPTIONS))
    stranger, other = make_student(toptank), make_teacher(toptank)
    for step in (None, submit, reject):
        if step:
            step(course, admin)
        for video_id in videos:
            found = [answers(who, video_id) for who in (nobody(toptank), stranger, other, teacher, admin)]
            assert found == [{401}, {404}, {404}, {200}, {200}]


# --- a link that is handed on ---------------------------------------------------------------------------------------


def test_a_link_that_is_handed_on_is_its_viewers_and_ends_when_they_watch_elsewhere(
    toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    """It plays elsewhere too, under the viewer's name, as one of the two that they have; the third ends it."""
    course, film = published_course(toptank, teacher, clips.film)
    viewer = make_student(toptank)
    enroll(viewer, course)
    began = begin(toptank, viewer, film)
    assert began["viewer_label"] == viewer.username
    link = link_in(began)
    with Wire(toptank.cloud.url, source="127.0.0.7") as elsewhere:
        target = f"/play/{link.token}/{link.name}"
        assert elsewhere.request("GET", target, {"User-Agent": "another"}).answer().body == clips.film
        second = link_of(toptank, viewer, film)
        assert elsewhere.request("GET", target, {}).answer().status == 200
        third = link_of(toptank, viewer, film)
        assert elsewhere.request("GET", target, {}).answer().status == 410
    link.check_refused(410, "playback_moved")
    assert [one.follow().status for one in (second, third)] == [200, 200]


def is_sent(node: str, path: str, headers: dict[str, str]) -> bool:
    return ask(node, path, {**headers, "Range": "bytes=0-9"}).status == 206


def test_who_was_handed_a_link_or_a_token_cannot_be_many_at_once(sale: Sale) -> None:
    """But for short answers. One who leaves makes room for another."""
    token = {"Authorization": f"Bearer {sale.buyer.token}"}
    link, stream = f"/play/{sale.link.token}/{sale.link.name}", f"/videos/{sale.film}/stream"
    slides = office(more={"ppt/media/film": os.urandom(24 * 2**20)})
    asked = {"lesson_id": sale.course.lesson_id, "name": "slides"}
    file = done(sale.course.teacher.cloud.post("/files", params=asked, content=slides), 201)
    for path, headers in ((link, {}), (stream, token), (f"/files/{file['id']}", token)):
        with ExitStack() as crowd:
            wires = [crowd.enter_context(Wire(sale.toptank.cloud.url)) for _ in range(AT_ONCE + 1)]
            for wire in wires[:-1]:
                assert wire.request("GET", path, headers).headers().status == 200
            refusal = wires[-1].request("GET", path, headers).answer()
            assert (refusal.status, code_of(refusal)) == (429, "too_many_answers")
            assert int(refusal.headers["Retry-After"]) > 0
            assert sale.other.follow(Range="bytes=0-9").status == 206
            wires[0].finish()
            eventually(partial(is_sent, sale.toptank.cloud.url, path, headers))


def test_being_signed_in_twice_makes_no_more_playbacks(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    """They are counted by who watches, whichever token or video it is."""
    course, film = published_course(toptank, teacher, clips.film)
    other = add_film(course, clips.film, course.add_lesson())
    viewer = make_student(toptank)
    enroll(viewer, course)
    login = {"login": viewer.username, "password": PASSWORD}
    again = signed_in(toptank, done(nobody(toptank).vps.post("/auth/login", json=login)))
    links = [link_of(toptank, *one) for one in ((viewer, film), (again, other), (again, film))]
    assert [link.follow().status for link in links] == [410, 200, 200]
