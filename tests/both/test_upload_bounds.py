"""Uploads that come too slowly, or for which there is no room: they end, and nobody else is the worse for it."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.both.people import Course, Person, done, draft_course, make_student, published_course, refused
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Answer, Wire, upload, upload_to
from tests.clips import Clips, padded

RATE = 50_000
SETTINGS = {
    "TOPTANK_UPLOAD_MIN_BYTES_PER_S": str(RATE),
    "TOPTANK_UPLOAD_RATE_WINDOW_S": "2",
    "TOPTANK_UPLOAD_DEADLINE_S": "4",
    "TOPTANK_UPLOAD_IDLE_S": "6",
    "TOPTANK_UPLOADS_PER_USER": "200",
}
DRIPS = 200
PRACTICE = "kind=practice&title=x"
MIB = 2**20
DISK_BYTES, KEPT_BYTES = 24 * MIB, 4 * MIB
PATIENT = {name: "600" for name in SETTINGS if not name.endswith("BYTES_PER_S")}


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


def nothing_is_left(toptank: TopTank) -> bool:
    return not toptank.scratch and not toptank.node_sql("SELECT * FROM uploads")


def drip(wire: Wire, content: bytes, times_a_s: int) -> Answer:
    """Until somebody has had enough of it."""
    while not wire.has_answer():
        wire.send(content)
        time.sleep(1 / times_a_s)
    return wire.answer()


# --- too slow -----------------------------------------------------------------------------------------------


def test_a_drip_is_ended(toptank: TopTank, teacher: Person, course: Course, clips: Clips) -> None:
    with upload(toptank.cloud.url, teacher.token, course.lesson_id, MIB) as wire:
        answer = drip(wire.send(clips.film), bytes(RATE // 100), 10)
    assert (answer.status, b"upload_too_slow" in answer.body) == (408, True)
    assert b"at least 50000 a second are needed" in answer.body
    assert nothing_is_left(toptank)


def test_an_upload_ends_in_time(toptank: TopTank, teacher: Person, course: Course, clips: Clips) -> None:
    with upload(toptank.cloud.url, teacher.token, course.lesson_id, 1000 * MIB) as wire:
        answer = drip(wire.send(clips.film), bytes(RATE * 2), 20)
    assert (answer.status, b"upload_deadline_passed" in answer.body) == (408, True), answer.body
    assert nothing_is_left(toptank)


def test_many_drips_disturb_nobody(toptank: TopTank, teacher: Person, student: Person, clips: Clips) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    with ExitStack() as stack:
        wires = [
            stack.enter_context(upload_to(toptank.cloud.url, student.token, PRACTICE, MIB, {})) for _ in range(DRIPS)
        ]
        for wire in wires:
            wire.send(clips.film[:100])
        assert teacher.watch(video_id).content == clips.film
        done(teacher.upload(course.add_lesson(), clips.large), 201)
        waiting = list(wires)
        while waiting:
            for wire in [wire for wire in waiting if wire.has_answer()]:
                assert wire.answer().status == 408
                waiting.remove(wire)
            for wire in waiting:
                wire.send(b"x")
            time.sleep(0.2)
    eventually(lambda: nothing_is_left(toptank))


# --- no room --------------------------------------------------------------------------------------------------


def test_an_upload_for_which_there_is_no_room_is_refused_before_it_is_read(
    toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    lesson_id = course.add_lesson()
    toptank.cloud.restart(TOPTANK_DISK_RESERVE_BYTES=str(2**60))
    try:
        for declared in (100 * MIB, None):
            with upload(toptank.cloud.url, teacher.token, lesson_id, declared) as wire:
                answer = wire.answer()
            assert (answer.status, b"storage_full" in answer.body) == (507, True)
        assert nothing_is_left(toptank)
        assert teacher.watch(video_id).content == clips.film
    finally:
        toptank.cloud.restart()
    done(teacher.upload(lesson_id, clips.film), 201)


@pytest.fixture
def small_disk(toptank: TopTank, tmp_path: Path) -> Iterator[Path]:
    """Where the node keeps everything now."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", tmp_path], capture_output=True, text=True
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted: {mounted.stderr.strip()}")
    try:
        toptank.cloud.restart(
            TOPTANK_CLOUD_DATA_DIR=str(tmp_path), TOPTANK_DISK_RESERVE_BYTES=str(KEPT_BYTES), **PATIENT
        )
        yield tmp_path
        assert list((tmp_path / "media" / "scratch").iterdir()) == []
    finally:
        toptank.cloud.restart()
        subprocess.run(["umount", tmp_path], check=True)


def test_uploads_at_once_do_not_overbook_the_disk(toptank: TopTank, clips: Clips, small_disk: Path) -> None:
    """Twenty, each of which wants more than half of what is free."""
    student = make_student(toptank)
    content = padded(clips.film, (DISK_BYTES - KEPT_BYTES) * 6 // 10)
    with ExitStack() as stack:
        wires = [
            stack.enter_context(upload_to(toptank.cloud.url, student.token, PRACTICE, len(content), {}))
            for _ in range(20)
        ]
        eventually(lambda: sum(wire.has_answer() for wire in wires) == 19)
        (first,) = [wire for wire in wires if not wire.has_answer()]
        for wire in wires:
            if wire is not first:
                assert wire.answer().status == 507
        first.send(content[:-1])
        small = eventually(
            lambda: (answer := student.cloud.post(f"/videos?{PRACTICE}", content=clips.film)).is_success and answer
        )  # what the first has written is not counted twice
        assert first.send(content[-1:]).answer().status == 201
        assert student.watch(done(small, 201)["id"]).content == clips.film
    refused(student.cloud.post(f"/videos?{PRACTICE}", content=content), 507, "storage_full")
    done(student.cloud.post(f"/videos?{PRACTICE}", content=clips.film), 201)


def test_a_disk_that_others_have_filled_ends_an_upload_and_nothing_else(
    toptank: TopTank, clips: Clips, small_disk: Path
) -> None:
    student = make_student(toptank)
    video = done(student.cloud.post(f"/videos?{PRACTICE}", content=clips.large), 201)
    content, filler = padded(clips.film, 6 * MIB), small_disk / "filler"
    with upload_to(toptank.cloud.url, student.token, PRACTICE, len(content), {}) as wire:
        wire.send(content[: 2 * MIB])
        eventually(lambda: [path for path in (small_disk / "media" / "scratch").iterdir() if path.stat().st_size])
        with filler.open("wb") as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(64 * 1024))
                file.flush()
        wire.send_until_answered(content[2 * MIB :][: 64 * 1024], len(content) - 2 * MIB)
        answer = wire.answer()
    assert (answer.status, b"storage_full" in answer.body) == (507, True)
    assert student.watch(video["id"]).content == clips.large
    filler.unlink()
    done(student.cloud.post(f"/videos?{PRACTICE}", content=content), 201)
