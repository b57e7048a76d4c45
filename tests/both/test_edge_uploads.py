"""Uploads through the edge: handed on as they come in, ended when they break off, and answered by the node alone."""

import hashlib
from collections.abc import Callable

import pytest

from tests.both.edges import BEHIND_AN_EDGE, Edge
from tests.both.people import Course, Person, done, draft_course, make_student
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Answer, Wire, upload, upload_to
from tests.clips import Clips
from tests.tus.table import OCTETS, VERSION
from tests.tus.uploads import begin

MIB = 2**20
UPLOAD_BYTES = 6 * MIB
SETTINGS = {**BEHIND_AN_EDGE, "TOPTANK_UPLOAD_BYTES": str(UPLOAD_BYTES), "TOPTANK_UPLOAD_IDLE_S": "3"}
WITHIN_S = 1.0
SENT = 32 * MIB
"""More than a refused upload is let through."""
PRACTICE = "kind=practice&title=x"
TRIES = 15
"""Of what a race between an answer and the bytes still coming could spoil."""


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


def nothing_is_left(toptank: TopTank) -> bool:
    return not toptank.scratch and not toptank.node_sql("SELECT * FROM uploads")


def has_arrived(toptank: TopTank, size: int) -> bool:
    return sum(path.stat().st_size for path in toptank.scratch) >= size


def test_a_film_arrives_byte_for_byte(edge: Edge, teacher: Person, course: Course, clips: Clips) -> None:
    through = edge.person(teacher)
    video = done(through.upload(course.lesson_id, clips.large), 201)
    assert video["sha256"] == hashlib.sha256(clips.large).hexdigest()
    assert through.watch(video["id"]).content == clips.large
    chunked = done(through.upload(course.add_lesson(), iter([clips.large[:MIB], clips.large[MIB:]])), 201)
    assert chunked["sha256"] == video["sha256"]


def test_what_was_sent_is_at_the_node_while_the_rest_is_still_to_come(
    edge: Edge, toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    for declared in (len(clips.large), None):
        with upload(edge.cloud, teacher.token, course.lesson_id, declared) as wire:
            if declared is None:
                wire.send_chunk(clips.large[: 2 * MIB])
            else:
                wire.send(clips.large[: 2 * MIB])
            eventually(lambda: has_arrived(toptank, MIB))
        eventually(lambda: nothing_is_left(toptank))


@pytest.mark.parametrize("drop", [Wire.finish, Wire.reset], ids=["fin", "rst"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_dropped_upload_is_gone_at_once_and_can_be_made_again(
    edge: Edge,
    toptank: TopTank,
    teacher: Person,
    course: Course,
    clips: Clips,
    share: float,
    drop: Callable[[Wire], None],
) -> None:
    wire = upload(edge.cloud, teacher.token, course.lesson_id, len(clips.large))
    wire.send(clips.large[: int(len(clips.large) * share)])
    eventually(lambda: toptank.node_sql("SELECT place FROM uploads") == [(course.lesson_id,)])
    drop(wire)
    eventually(lambda: nothing_is_left(toptank), WITHIN_S)
    done(edge.person(teacher).upload(course.lesson_id, clips.film), 201)


def test_a_resumable_upload_goes_on_where_its_connection_broke(edge: Edge, toptank: TopTank, clips: Clips) -> None:
    student = edge.person(make_student(toptank))
    resumable = begin(student, len(clips.large))
    told = {**VERSION, **OCTETS, **student.cloud.headers, "Upload-Offset": "0", "Content-Length": str(len(clips.large))}
    wire = Wire(edge.cloud).request("PATCH", resumable.path, told).send(clips.large[: 2 * MIB])
    part = toptank.cloud.folder / "media" / "parts" / resumable.id
    eventually(lambda: part.exists() and part.stat().st_size >= MIB)
    wire.reset()
    at = resumable.offset()  # it waits for whoever still writes
    assert MIB <= at <= 2 * MIB
    done(resumable.patch(at, clips.large[at:]), 204)
    shown = done(student.cloud.get(f"/videos/{resumable.id}"))
    assert shown["sha256"] == hashlib.sha256(clips.large).hexdigest()


def test_a_resumable_upload_is_ended_by_its_user(edge: Edge, toptank: TopTank, clips: Clips) -> None:
    resumable = begin(edge.person(make_student(toptank)), len(clips.large))
    done(resumable.patch(0, clips.large[:MIB]), 204)
    assert resumable.offset() == MIB
    assert resumable.delete().status_code == 204
    assert resumable.head().status_code == 404


def test_a_stalled_upload_hears_from_the_node(
    edge: Edge, toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with upload(edge.cloud, teacher.token, course.lesson_id, len(clips.large)) as wire:
        wire.send(clips.large[:MIB])
        eventually(lambda: has_arrived(toptank, MIB // 2))
        eventually(lambda: nothing_is_left(toptank))
        answer = wire.answer()
    assert (answer.status, answer.headers["content-type"]) == (408, "application/problem+json")
    assert nothing_is_left(toptank)


def refused_midway(wire: Wire, declares: bool) -> Answer:
    """The answer to somebody who sends until there is one; if not at once, then one large chunk."""
    if not declares:
        wire.send(b"%x\r\n" % SENT)
    wire.send_until_answered(bytes(64 * 1024), SENT)
    return wire.answer()


@pytest.mark.parametrize("declares", [True, False], ids=["declared", "in chunks"])
def test_a_refusal_arrives_although_bytes_keep_coming(
    edge: Edge, toptank: TopTank, course: Course, declares: bool
) -> None:
    refusals = {"none": (401, b"not_authenticated"), make_student(toptank).token: (403, b"upload_not_allowed")}
    for token, (status, code) in refusals.items():
        for _ in range(TRIES):
            with upload(edge.cloud, token, course.lesson_id, UPLOAD_BYTES if declares else None) as wire:
                answer = refused_midway(wire, declares)
            assert (answer.status, code in answer.body) == (status, True), answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
def test_a_refusal_arrives_although_no_more_bytes_come(edge: Edge, method: str) -> None:
    with Wire(edge.vps) as wire:
        wire.request(method, "/api/nowhere", {"Content-Type": "application/json", "Content-Length": "300"})
        answer = wire.send(b"{").answer()
    assert (answer.status, b'"not_found"' in answer.body) == (404, True), answer


@pytest.mark.parametrize("declares", [True, False], ids=["declared", "in chunks"])
def test_an_upload_that_is_too_large_is_told_so(edge: Edge, toptank: TopTank, clips: Clips, declares: bool) -> None:
    """At once where its length was declared, else in its midst."""
    student = make_student(toptank)
    for _ in range(TRIES):
        with upload_to(edge.cloud, student.token, PRACTICE, SENT if declares else None, {}) as wire:
            (wire.send if declares else wire.send_chunk)(clips.film)
            answer = refused_midway(wire, declares)
        assert (answer.status, b"upload_too_large" in answer.body) == (413, True), answer.body
    eventually(lambda: nothing_is_left(toptank))


def test_nobody_without_a_right_gets_much_past_the_edge(edge: Edge, course: Course) -> None:
    with upload(edge.cloud, "none", course.lesson_id, SENT) as wire:
        taken = wire.send_until_answered(bytes(64 * 1024), SENT)
        assert wire.answer().status == 401
    assert taken < SENT / 4
