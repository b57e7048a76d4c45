"""Resumable uploads that are interrupted, taken over, refused at their last byte, or whose node dies."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud_service.uploads.scratch import BLOCK_BYTES
from tests.both.people import (
    PASSWORD,
    Course,
    Person,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    nobody,
    refused,
    signed_in,
)
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire
from tests.clips import Clips, padded
from tests.tus.table import metadata, sha1
from tests.tus.uploads import Upload, begin, create

QUOTA = 24 * 2**20
SETTINGS = {"TOPTANK_UPLOAD_IDLE_S": "3", "TOPTANK_PRACTICE_QUOTA_BYTES": str(QUOTA)}


@pytest.fixture(scope="module")
def admin(toptank: TopTank) -> Person:
    return make_admin(toptank)


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


@pytest.fixture
def upload(student: Person, clips: Clips) -> Iterator[Upload]:
    """Of a practice video of some blocks."""
    upload = begin(student, len(clips.large))
    yield upload
    upload.delete()
    student.cloud.delete(f"/videos/{upload.id}")


def part_of(toptank: TopTank, upload: Upload) -> Path:
    return toptank.cloud.folder / "media" / "parts" / upload.id


def is_gone(toptank: TopTank, upload: Upload) -> bool:
    rows = toptank.node_sql("SELECT id FROM resumable_uploads WHERE id = ?", upload.id)
    return not rows and not part_of(toptank, upload).exists() and upload.head().status_code == 404


def finish(upload: Upload, content: bytes) -> None:
    """From wherever it is."""
    at = upload.offset()
    done(upload.patch(at, content[at:]), 204)
    shown = done(upload.who.cloud.get(f"/videos/{upload.id}"))
    assert (shown["id"], shown["sha256"]) == (upload.id, hashlib.sha256(content).hexdigest())


def half_sent(toptank: TopTank, upload: Upload, content: bytes) -> Wire:
    """A PATCH of everything, of which the node has begun to write half down."""
    wire = upload.begin_patch(toptank.cloud, 0, len(content)).send(content[: len(content) // 2])
    eventually(lambda: part_of(toptank, upload).stat().st_size)
    return wire


# --- interrupted ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", [Wire.finish, Wire.reset], ids=["fin", "rst"])
def test_what_arrived_before_the_connection_dropped_is_kept(
    toptank: TopTank, upload: Upload, clips: Clips, drop: Callable[[Wire], None]
) -> None:
    drop(half_sent(toptank, upload, clips.large))
    at = upload.offset()
    assert BLOCK_BYTES <= at <= len(clips.large) // 2
    assert part_of(toptank, upload).read_bytes() == clips.large[:at]
    finish(upload, clips.large)


def test_bytes_that_are_all_there_with_nobody_saying_so_are_no_finished_upload(
    toptank: TopTank, student: Person, clips: Clips
) -> None:
    film = padded(clips.film, 2 * BLOCK_BYTES)
    upload = begin(student, len(film))
    wire = upload.begin_patch(toptank.cloud, 0, None).send_chunk(film)
    eventually(lambda: part_of(toptank, upload).stat().st_size == len(film))
    wire.finish()
    assert upload.offset() == len(film) - 1
    finish(upload, film)


def test_a_silent_client_is_sent_away_and_its_bytes_are_kept(toptank: TopTank, upload: Upload, clips: Clips) -> None:
    with half_sent(toptank, upload, clips.large) as wire:
        answer = wire.answer()
    assert (answer.status, answer.headers["tus-resumable"]) == (408, "1.0.0")
    assert upload.offset() == len(clips.large) // 2
    finish(upload, clips.large)


def test_a_killed_node_tells_what_is_on_its_disk_and_goes_on_from_there(
    toptank: TopTank, upload: Upload, clips: Clips
) -> None:
    wire = half_sent(toptank, upload, clips.large)
    toptank.cloud.kill()
    wire.finish()
    on_disk = part_of(toptank, upload).read_bytes()
    toptank.cloud.start()
    assert upload.offset() == len(on_disk) > 0
    assert clips.large.startswith(on_disk)
    finish(upload, clips.large)


def test_a_stopped_node_keeps_what_arrived(toptank: TopTank, upload: Upload, clips: Clips) -> None:
    wire = half_sent(toptank, upload, clips.large)
    toptank.cloud.stop()
    wire.finish()
    toptank.cloud.start()
    assert upload.offset() == len(clips.large) // 2
    finish(upload, clips.large)


def test_dropped_bytes_whose_checksum_was_not_heard_out_are_not_kept(
    toptank: TopTank, upload: Upload, clips: Clips
) -> None:
    done(upload.patch(0, clips.large[:1000], Upload_Checksum=sha1(clips.large[:1000])), 204)
    for end in (Wire.finish, lambda wire: toptank.cloud.kill()):
        rest = clips.large[1000:]
        wire = upload.begin_patch(toptank.cloud, 1000, len(rest), **{"Upload-Checksum": sha1(rest)})
        wire.send(rest[: 2 * 2**20])
        eventually(lambda: part_of(toptank, upload).stat().st_size > 1000)
        end(wire)
    toptank.cloud.start()
    assert upload.offset() == 1000
    finish(upload, clips.large)


def test_a_creation_that_is_dropped_leaves_nothing(toptank: TopTank, student: Person, clips: Clips) -> None:
    """Nobody was told where it is."""
    before = toptank.node_sql("SELECT count(*) FROM resumable_uploads")
    told = {"Upload-Length": str(len(clips.large)), "Content-Length": str(len(clips.large)), "Tus-Resumable": "1.0.0"}
    wire = Wire(toptank.cloud.url).request(
        "POST",
        "/uploads",
        {
            **student.cloud.headers,
            **told,
            "Upload-Metadata": metadata(kind="practice", title="x"),
            "Content-Type": "application/offset+octet-stream",
        },
    )
    wire.send(clips.large[: 2**21])
    eventually(lambda: toptank.node_sql("SELECT count(*) FROM resumable_uploads") != before)
    wire.finish()
    eventually(lambda: toptank.node_sql("SELECT count(*) FROM resumable_uploads") == before)


# --- taken over -----------------------------------------------------------------------------------------


def test_a_newer_look_ends_a_request_that_is_stuck(toptank: TopTank, upload: Upload, clips: Clips) -> None:
    with half_sent(toptank, upload, clips.large) as stuck:
        assert BLOCK_BYTES <= upload.offset() <= len(clips.large) // 2
        answer = stuck.answer()
        assert (answer.status, b"upload_taken_over" in answer.body) == (409, True)
        assert stuck.socket.recv(1) == b""
    finish(upload, clips.large)


def test_a_newer_patch_wins_and_is_told_where_to_go_on(toptank: TopTank, upload: Upload, clips: Clips) -> None:
    with half_sent(toptank, upload, clips.large) as stuck:
        answer = upload.patch(0, clips.large)
        refused(answer, 409, "offset_mismatch")
        assert BLOCK_BYTES <= int(answer.headers["upload-offset"]) <= len(clips.large) // 2
        assert stuck.answer().status == 409
    finish(upload, clips.large)


def test_an_upload_can_be_ended_while_bytes_arrive(toptank: TopTank, upload: Upload, clips: Clips) -> None:
    with half_sent(toptank, upload, clips.large) as stuck:
        done(upload.delete(), 204)
        assert stuck.answer().status == 409
    assert is_gone(toptank, upload)


# --- the last byte --------------------------------------------------------------------------------------


def test_what_came_byte_by_byte_and_block_by_block_is_the_lessons_video(
    teacher: Person, course: Course, clips: Clips
) -> None:
    upload = begin(teacher, len(clips.large), lesson_id=course.lesson_id)
    for at, end in ((0, 1), (1, 300), (300, 2**20 + 7)):
        done(upload.patch(at, clips.large[at:end]), 204)
    finish(upload, clips.large)
    eventually(lambda: course.video_ids() == [upload.id])
    assert teacher.watch(upload.id).content == clips.large


def test_rights_that_ended_meanwhile_keep_an_upload_from_becoming_a_video(
    toptank: TopTank, admin: Person, clips: Clips
) -> None:
    demoted = make_teacher(toptank)
    course = draft_course(toptank, demoted)
    upload = begin(demoted, len(clips.film), lesson_id=course.lesson_id)
    done(upload.patch(0, clips.film[:-1]), 204)
    done(admin.vps.post(f"/admin/teachers/{demoted.username}/demote"))
    refused(upload.patch(len(clips.film) - 1, clips.film[-1:]), 403, "upload_not_allowed")
    refused(create(demoted, 10, lesson_id=course.lesson_id), 403, "upload_not_allowed")
    done(admin.vps.post(f"/admin/teachers/{demoted.username}/verify"))
    finish(upload, clips.film)  # what had come is still there


def test_of_two_uploads_into_one_lesson_the_first_to_end_is_its_video(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    slower = begin(teacher, len(clips.film), lesson_id=course.lesson_id)
    done(slower.patch(0, clips.film[:-1]), 204)
    faster = begin(teacher, len(clips.film), lesson_id=course.lesson_id)
    done(faster.patch(0, clips.film), 204)
    refused(slower.patch(len(clips.film) - 1, clips.film[-1:]), 409, "lesson_has_video")
    assert is_gone(toptank, slower)
    refused(create(teacher, 10, lesson_id=course.lesson_id), 409, "lesson_has_video")


def test_a_last_byte_that_comes_before_the_word_of_a_deletion_is_sent_again(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    """The VPS has deleted what was in the way, of which this node hears later."""
    film, last = clips.film, len(clips.film) - 1
    upload, replacing = (begin(teacher, len(film), lesson_id=course.lesson_id, replace=word) for word in ("0", "1"))
    for one in (upload, replacing):
        done(one.patch(0, film[:-1]), 204)

    def is_kept_until_the_deletion_of(video_id: str, one: Upload, code: str) -> None:
        eventually(lambda: toptank.sql("SELECT 1 FROM videos WHERE id = %s", video_id))
        toptank.sql("UPDATE videos SET deleted_at = now() WHERE id = %s", video_id)
        answer = one.patch(last, film[-1:])
        refused(answer, 409, code)
        assert (answer.headers["retry-after"], one.offset()) == ("1", last)
        done(teacher.cloud.delete(f"/videos/{video_id}"), 204)
        finish(one, film)

    old = done(teacher.upload(course.lesson_id, film), 201)["id"]
    is_kept_until_the_deletion_of(old, upload, "lesson_has_video")
    path = f"/videos?lesson_id={course.lesson_id}&replace=true"
    coming = done(teacher.cloud.post(path, content=film), 201)["id"]
    is_kept_until_the_deletion_of(coming, replacing, "replacement_under_way")
    assert done(teacher.cloud.get(f"/videos/{replacing.id}"))["replaces"] == upload.id


def test_a_last_byte_that_comes_after_another_replacement_is_refused_for_good(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    done(teacher.upload(course.lesson_id, clips.film), 201)
    slower, faster = (begin(teacher, len(clips.film), lesson_id=course.lesson_id, replace="1") for _ in range(2))
    done(slower.patch(0, clips.film[:-1]), 204)
    done(faster.patch(0, clips.film), 204)
    refused(slower.patch(len(clips.film) - 1, clips.film[-1:]), 409, "replacement_under_way")
    assert is_gone(toptank, slower)


def test_what_turns_out_to_be_no_video_is_gone(toptank: TopTank, student: Person, clips: Clips) -> None:
    truncated = clips.index_last[:-100]
    for content, sent_first in ((b"just some text " * 100, 600), (b"hi", 2), (truncated, 700), (clips.sound_only, 700)):
        upload = begin(student, len(content))
        answer = upload.patch(0, content[:sent_first])
        if answer.status_code == 204:
            answer = upload.patch(sent_first, content[sent_first:])
        refused(answer, 415, "not_a_video")
        assert is_gone(toptank, upload)


def test_a_last_byte_that_the_vps_cannot_be_asked_about_is_sent_again(
    toptank: TopTank, upload: Upload, clips: Clips
) -> None:
    """Nobody takes the upload for finished meanwhile: a full offset is a video."""
    toptank.vps.stop()
    try:
        assert upload.patch(0, clips.large).status_code == 503
        assert upload.offset() == len(clips.large) - 1
    finally:
        toptank.vps.start()
    finish(upload, clips.large)


def test_a_finished_upload_goes_on_saying_so_and_ending_it_leaves_the_video(
    toptank: TopTank, upload: Upload, clips: Clips
) -> None:
    finish(upload, clips.large)
    assert upload.offset() == len(clips.large)
    done(upload.patch(len(clips.large), b""), 204)
    toptank.cloud.kill()
    toptank.cloud.start()
    assert upload.offset() == len(clips.large)
    done(upload.delete(), 204)
    assert upload.head().status_code == 404
    assert upload.who.watch(upload.id).content == clips.large


# --- whose it is, and how much --------------------------------------------------------------------------


def test_an_upload_is_nobody_elses(toptank: TopTank, teacher: Person, upload: Upload, clips: Clips) -> None:
    others = Upload(teacher, upload.id)
    refused(others.patch(0, clips.large), 404, "upload_not_found")
    refused(others.delete(), 404, "upload_not_found")
    assert others.head().status_code == 404
    assert upload.offset() == 0


def test_who_has_signed_out_everywhere_ends_no_upload_with_the_old_token(
    toptank: TopTank, student: Person, clips: Clips
) -> None:
    leaving = make_student(toptank)
    upload = begin(leaving, len(clips.film))
    done(leaving.vps.delete("/auth/sessions"), 204)
    refused(upload.patch(0, clips.film), 401, "not_authenticated")
    eventually(lambda: upload.head().status_code == 401)
    refused(upload.delete(), 401, "not_authenticated")
    login = {"login": leaving.username, "password": PASSWORD}
    again = Upload(signed_in(toptank, done(nobody(toptank).vps.post("/auth/login", json=login))), upload.id)
    assert again.offset() < len(clips.film)
    done(again.delete(), 204)


def test_uploads_under_way_count_on_the_quota(toptank: TopTank, clips: Clips) -> None:
    student = make_student(toptank)
    most = begin(student, QUOTA - 1000)
    refused(create(student, 1001), 413, "quota_exceeded")
    toptank.cloud.restart()
    refused(create(student, 1001), 413, "quota_exceeded")
    done(begin(student, 1000).delete(), 204)
    done(most.delete(), 204)
    done(begin(student, QUOTA).delete(), 204)


def test_metadata_that_names_no_place_is_refused(student: Person, teacher: Person, course: Course) -> None:
    for told in (
        {"filename": "film.mp4"},
        {"kind": "practice"},
        {"kind": "practice", "title": "x", "lesson_id": course.lesson_id},
        {"kind": "file", "lesson_id": course.lesson_id, "title": "x"},
        {"lesson_id": "1"},
        {"lesson_id": course.lesson_id, "replace": "perhaps"},
    ):
        problem = refused(create(teacher, 10, **told), 422, "validation_failed")
        assert problem["errors"][0]["field"].startswith("Upload-Metadata")
    refused(create(student, 0), 422, "empty_upload")
    refused(create(student, 10, lesson_id=course.lesson_id), 403, "upload_not_allowed")


def test_another_video_in_place_of_the_lessons_is_asked_for_in_the_metadata(
    teacher: Person, course: Course, clips: Clips
) -> None:
    old = str(done(teacher.upload(course.lesson_id, clips.film), 201)["id"])
    eventually(lambda: course.video_ids() == [old])
    upload = begin(teacher, len(clips.film), lesson_id=course.lesson_id, replace="true")
    done(upload.patch(0, clips.film), 204)
    assert done(teacher.cloud.get(f"/videos/{upload.id}"))["replaces"] == old


def test_an_interrupted_upload_is_no_error_of_ours(toptank: TopTank, upload: Upload, clips: Clips) -> None:
    half_sent(toptank, upload, clips.large).finish()
    eventually(lambda: [line for line in toptank.cloud.lines() if line["event"] == "upload interrupted"])
    time.sleep(0.1)
    assert [line for line in toptank.cloud.lines() if line["level"] == "error"] == []
