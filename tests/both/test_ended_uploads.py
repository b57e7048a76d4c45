"""Whoever may upload no more, stops uploading: within seconds of the ban, and with nothing left on the node."""

from collections.abc import Callable

import pytest

from tests.both.people import Course, Person, done, draft_course, make_admin, make_student, make_teacher, refused
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire, upload
from tests.clips import Clips
from tests.tus.uploads import begin

BOUND_S = 2.0
GONE_WITHIN_S = 1.0


@pytest.fixture(scope="module")
def admin(toptank: TopTank) -> Person:
    return make_admin(toptank)


@pytest.fixture
def teacher(toptank: TopTank) -> Person:
    """Of this test's own, who will not be one for long."""
    return make_teacher(toptank)


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


def sign_out_here(_: Person, teacher: Person) -> None:
    (session,) = done(teacher.vps.get("/auth/sessions"))["items"]
    done(teacher.vps.delete(f"/auth/sessions/{session['id']}"), 204)


ENDS: dict[str, tuple[Callable[[Person, Person], object], int]] = {
    "a ban": (lambda admin, teacher: done(admin.vps.post(f"/admin/users/{teacher.id}/ban")), 401),
    "a demotion": (lambda admin, teacher: done(admin.vps.post(f"/admin/teachers/{teacher.username}/demote")), 403),
    "signing out everywhere": (lambda _, teacher: done(teacher.vps.delete("/auth/sessions"), 204), 401),
    "signing out there": (sign_out_here, 401),
}
"""And what the upload is answered."""


def is_sent_away(wire: Wire, status: int) -> None:
    """Although it is silent, and declared more."""
    eventually(wire.has_answer, BOUND_S)
    assert wire.answer().status == status
    assert wire.socket.recv(1) == b""


@pytest.mark.parametrize("end", ENDS)
def test_an_upload_is_cut_and_leaves_nothing(
    toptank: TopTank, admin: Person, teacher: Person, course: Course, clips: Clips, end: str
) -> None:
    end_it, status = ENDS[end]
    with upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.large)) as wire:
        wire.send(clips.large[: len(clips.large) // 2])
        eventually(lambda: toptank.scratch and toptank.node_sql("SELECT 1 FROM uploads"))
        end_it(admin, teacher)
        is_sent_away(wire, status)
    eventually(lambda: not toptank.scratch and not toptank.node_sql("SELECT 1 FROM uploads"), GONE_WITHIN_S)
    assert toptank.node_sql("SELECT 1 FROM videos WHERE lesson_id = ?", course.lesson_id) == []


@pytest.mark.parametrize("end", ENDS)
def test_a_resumable_upload_is_cut_and_takes_nothing_more(
    toptank: TopTank, admin: Person, teacher: Person, course: Course, clips: Clips, end: str
) -> None:
    end_it, status = ENDS[end]
    half = len(clips.large) // 2
    resumable = begin(teacher, len(clips.large), lesson_id=course.lesson_id)
    part = toptank.cloud.folder / "media" / "parts" / resumable.id
    with resumable.begin_patch(toptank.cloud, 0, len(clips.large)).send(clips.large[:half]) as wire:
        eventually(lambda: part.stat().st_size)
        end_it(admin, teacher)
        is_sent_away(wire, status)
    kept = part.read_bytes()
    assert clips.large[:half].startswith(kept)
    assert resumable.patch(len(kept), clips.large[len(kept) :]).status_code == status
    assert part.read_bytes() == kept


OUT: dict[str, Callable[[Person, Person], object]] = {
    "a ban": ENDS["a ban"][0],
    "another role": lambda admin, one: done(admin.vps.put(f"/admin/users/{one.id}/role", json={"role": "teacher"})),
    "signing out everywhere": ENDS["signing out everywhere"][0],
    "signing out there": sign_out_here,
}


@pytest.mark.parametrize("end", OUT)
def test_a_token_that_was_signed_out_neither_asks_after_an_upload_nor_ends_it(
    toptank: TopTank, admin: Person, end: str
) -> None:
    """Case 6, of what the node knows without the VPS: whoever stole the token throws nothing away with it."""
    student = make_student(toptank)
    upload = begin(student, 1000)
    part = toptank.cloud.folder / "media" / "parts" / upload.id
    OUT[end](admin, student)
    eventually(lambda: upload.head().status_code == 401, BOUND_S)
    refused(upload.delete(), 401, "not_authenticated")
    assert part.exists()
