"""Uploads whose connection drops, stalls, or whose node dies: nothing lost, nothing left over."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import asdict

import pytest

from cloud_service.videos.models import StoredVideo
from shared.contract import STANDING
from tests.both.people import Course, Person, done, draft_course, refused
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire, upload
from tests.clips import Clips

WITHIN_S = 1.0


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


def reserved(toptank: TopTank) -> list[tuple[str]]:
    return toptank.node_sql("SELECT place FROM uploads")


def nothing_is_left(toptank: TopTank) -> bool:
    return not toptank.scratch and not reserved(toptank)


def begin(toptank: TopTank, teacher: Person, course: Course, content: bytes, share: float) -> Wire:
    """An upload of which this share has reached the node."""
    wire = upload(toptank.cloud.url, teacher.token, course.lesson_id, len(content))
    wire.send(content[: int(len(content) * share)])
    eventually(lambda: toptank.scratch and reserved(toptank) == [(course.lesson_id,)])
    return wire


@pytest.mark.parametrize("drop", [Wire.finish, Wire.reset], ids=["fin", "rst"])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_dropped_upload_is_gone_at_once_and_can_be_made_again(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, share: float, drop: Callable[[Wire], None]
) -> None:
    drop(begin(toptank, teacher, course, clips.large, share))
    eventually(lambda: nothing_is_left(toptank), WITHIN_S)
    video = done(teacher.upload(course.lesson_id, clips.film), 201)
    assert teacher.watch(video["id"]).content == clips.film


def test_the_last_byte_missing_is_a_dropped_upload(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    wire = upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.film))
    wire.send(clips.film[:-1])
    eventually(lambda: toptank.scratch)
    wire.finish()
    eventually(lambda: nothing_is_left(toptank), WITHIN_S)
    assert toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id) == []


def test_a_dropped_chunked_upload_is_gone_at_once(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    wire = upload(toptank.cloud.url, teacher.token, course.lesson_id, None)
    wire.send_chunk(clips.film)  # all of the video, but nobody said that it was all
    eventually(lambda: toptank.scratch)
    wire.finish()
    eventually(lambda: nothing_is_left(toptank), WITHIN_S)
    assert toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id) == []


def test_a_dropped_upload_resets_what_is_remembered_of_the_teacher(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    remembered = "SELECT user_id FROM teachers WHERE user_id = ?"
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    assert toptank.node_sql(remembered, teacher.id)
    begin(toptank, teacher, course, clips.film, 0.5).finish()
    eventually(lambda: not toptank.node_sql(remembered, teacher.id), WITHIN_S)
    asked = len(toptank.vps.requests(STANDING))
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    assert len(toptank.vps.requests(STANDING)) == asked + 1


def test_a_dropped_upload_is_no_error_of_ours(toptank: TopTank, teacher: Person, course: Course, clips: Clips) -> None:
    begin(toptank, teacher, course, clips.film, 0.5).finish()
    eventually(lambda: nothing_is_left(toptank), WITHIN_S)
    dropped = eventually(lambda: [line for line in toptank.cloud.lines() if line["event"] == "upload dropped"])
    assert dropped[-1]["declared"] == len(clips.film)
    time.sleep(0.1)
    assert [line for line in toptank.cloud.lines() if line["level"] == "error"] == []


def test_a_client_that_leaves_after_its_last_byte_has_uploaded(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    wire = begin(toptank, teacher, course, clips.film, 0.5)
    wire.send(clips.film[len(clips.film) // 2 :])
    (partial,) = toptank.scratch
    eventually(lambda: not partial.exists() or partial.stat().st_size == len(clips.film))
    wire.finish()
    (video_id,) = eventually(lambda: [video for video in course.video_ids() if video])
    assert teacher.watch(video_id).content == clips.film


def test_a_silent_client_is_sent_away(toptank: TopTank, teacher: Person, course: Course, clips: Clips) -> None:
    toptank.cloud.restart(TOPTANK_UPLOAD_IDLE_S="2")
    try:
        with begin(toptank, teacher, course, clips.film, 0.5) as wire:
            answer = wire.answer()
    finally:
        toptank.cloud.restart()
    assert (answer.status, b"upload_stalled" in answer.body) == (408, True)
    assert nothing_is_left(toptank)


# --- the node dies --------------------------------------------------------------------------------------


def test_what_was_answered_201_streams_after_a_kill(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    video = done(teacher.upload(course.lesson_id, clips.large), 201)
    toptank.cloud.kill()
    toptank.cloud.start()
    assert teacher.watch(video["id"]).content == clips.large
    eventually(lambda: course.video_ids() == [video["id"]])


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_killed_nodes_partial_files_are_swept_before_it_listens_again(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, share: float
) -> None:
    wire = begin(toptank, teacher, course, clips.large, share)
    toptank.cloud.kill()
    wire.finish()
    assert toptank.scratch
    assert reserved(toptank)
    toptank.cloud.start()  # returns as soon as it listens
    assert nothing_is_left(toptank)
    done(teacher.upload(course.lesson_id, clips.film), 201)


def test_a_video_whose_row_was_never_committed_is_swept(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    """As after a kill between the rename and the commit."""
    toptank.cloud.stop()
    orphan = toptank.folder / "node-1" / "media" / "videos" / teacher.id / "0192-orphan"
    orphan.mkdir(parents=True)
    (orphan / "original").write_bytes(clips.film)
    row = StoredVideo(orphan.name, "x", "x", teacher.id, "omar", len(clips.film), "x", "video/mp4", 1.0, 1, 1, 1)
    fields = {name: value for name, value in asdict(row).items() if name != "etag"}
    (orphan / "video.json").write_text(json.dumps(fields))
    toptank.cloud.start()
    assert not orphan.exists()


def test_a_client_hears_of_a_node_that_is_stopped_during_its_upload(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with begin(toptank, teacher, course, clips.large, 0.5) as wire:
        os.kill(toptank.cloud.pid, signal.SIGTERM)
        while not wire.has_answer():
            wire.send(bytes(1000))
            time.sleep(0.1)
        answer = wire.answer()
    assert (answer.status, b"node_stopping" in answer.body) == (503, True)
    assert answer.headers["retry-after"]
    assert toptank.cloud.stop() == 0
    assert toptank.scratch == []
    toptank.cloud.start()
    assert nothing_is_left(toptank)


def test_a_node_that_is_stopped_during_an_upload_leaves_nothing(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    wire = begin(toptank, teacher, course, clips.film, 0.5)
    toptank.cloud.stop()
    wire.finish()
    assert toptank.scratch == []
    toptank.cloud.start()
    assert nothing_is_left(toptank)
    refused(teacher.watch(course.lesson_id), 404, "video_not_found")


def test_an_upload_outlasts_a_database_that_is_locked_as_it_ends(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with begin(toptank, teacher, course, clips.film, 0.5) as wire:
        holder = sqlite3.connect(toptank.cloud.database, isolation_level=None)
        try:
            holder.execute("BEGIN IMMEDIATE")
            wire.send(clips.film[len(clips.film) // 2 :])
            eventually(lambda: [line for line in toptank.cloud.lines() if line["event"] == "the database is locked"])
        finally:
            holder.close()
        assert wire.answer().status == 201
