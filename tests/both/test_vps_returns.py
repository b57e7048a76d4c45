"""The VPS goes and comes back: nothing is lost, nothing counts twice, and all heals by itself."""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.contract import Event, VideoStored
from tests.both.people import Course, Person, done, draft_course, enroll, make_student, published_course, refused
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire, upload
from tests.clips import Clips, padded

SETTINGS = {
    "TOPTANK_TRUST_WATCHING_S": "12",
    "TOPTANK_TRUST_STARTING_S": "10",
    "TOPTANK_VPS_TIMEOUT_S": "2",
    "TOPTANK_FEED_WAIT_S": "1",
    "TOPTANK_REPORT_EVERY_S": "1",
}
LONG = 24 * 2**20
Published = tuple[Course, str]


@pytest.fixture(scope="module")
def published(toptank: TopTank, teacher: Person, clips: Clips) -> Published:
    return published_course(toptank, teacher, padded(clips.film, LONG))


def test_an_upload_that_finishes_without_the_vps_is_announced_once_it_is_back(
    toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    course = draft_course(toptank, teacher)
    with upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.film)) as wire:
        wire.send(clips.film[:1000])
        eventually(lambda: toptank.scratch)  # so rights were asked for before the VPS goes
        toptank.vps.kill()
        assert wire.send(clips.film[1000:]).answer().status == 201
    ((video_id,),) = toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id)
    assert teacher.watch(video_id).content == clips.film
    toptank.vps.start()
    eventually(lambda: course.video_ids() == [video_id])
    eventually(lambda: not toptank.node_sql("SELECT * FROM outbox"))
    assert toptank.sql("SELECT count(*) FROM received_events WHERE verdict <> 'applied'") == [(0,)]


def test_what_was_unknown_is_known_once_the_vps_is_back(toptank: TopTank, published: Published, clips: Clips) -> None:
    course, video_id = published
    viewer = make_student(toptank)
    enroll(viewer, course)
    toptank.vps.kill()
    refused(viewer.watch(video_id), 503, "vps_unreachable")
    toptank.vps.start()
    assert viewer.watch(video_id, Range="bytes=0-99").content == clips.film[:100]


def test_a_vps_that_hangs_keeps_an_unknown_viewer_waiting_and_nobody_else(
    toptank: TopTank, published: Published
) -> None:
    course, video_id = published
    cached, uncached = make_student(toptank), make_student(toptank)
    for viewer in (cached, uncached):
        enroll(viewer, course)
    assert cached.watch(video_id, Range="bytes=0-9").status_code == 206
    os.kill(toptank.vps.pid, signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(1) as pool:
            waiting, answered = pool.submit(uncached.watch, video_id, Range="bytes=0-9"), 0
            while not waiting.done():
                assert cached.watch(video_id, Range="bytes=0-9").status_code == 206
                answered += 1
                time.sleep(0.05)
            assert answered > 1
            refused(waiting.result(), 503, "vps_unreachable")
    finally:
        os.kill(toptank.vps.pid, signal.SIGCONT)
    eventually(lambda: uncached.watch(video_id, Range="bytes=0-9").status_code == 206)


def test_an_announcement_that_was_answered_into_nothing_is_sent_again_and_counts_once(
    toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    """The VPS applied it, the node died before it knew: the same event comes again."""
    course = draft_course(toptank, teacher)
    video = done(teacher.upload(course.lesson_id, clips.film), 201)
    eventually(lambda: course.video_ids() == [video["id"]])
    toptank.cloud.stop()
    ((event_id, at),) = toptank.sql("SELECT id, received_at FROM received_events ORDER BY received_at DESC LIMIT 1")
    again = "INSERT INTO outbox (event, video_id, added_at) VALUES (?, ?, unixepoch())"
    toptank.node_sql(again, announcement(video, str(event_id), teacher), video["id"])
    toptank.cloud.start()
    eventually(lambda: not toptank.node_sql("SELECT * FROM outbox"))
    assert toptank.sql("SELECT received_at FROM received_events WHERE id = %s", event_id) == [(at,)]
    assert course.video_ids() == [video["id"]]
    assert teacher.watch(video["id"]).status_code == 200


def announcement(video: dict[str, object], event_id: str, teacher: Person) -> str:
    about = {name: video[name] for name in VideoStored.model_fields if video.get(name) is not None}
    about |= {"kind": "video_stored", "video_id": video["id"], "owner_id": teacher.id}
    return Event.model_validate({"id": event_id, "about": about}).model_dump_json()


def test_rights_that_could_not_be_confirmed_for_too_long_are_unknown_never_refused(
    toptank: TopTank, published: Published, clips: Clips
) -> None:
    """And once they are confirmed again, all is as before; a download that was going on meanwhile was cut."""
    course, video_id = published
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(video_id).status_code == 200
    toptank.vps.kill()
    with Wire(toptank.cloud.url) as wire:
        wire.request("GET", f"/videos/{video_id}/stream", {"Authorization": f"Bearer {viewer.token}"})
        download = wire.headers()
        answers = {viewer.watch(video_id, Range="bytes=0-9").status_code}
        while 503 not in answers:
            response = viewer.watch(video_id, Range="bytes=0-9")
            answers.add(response.status_code)
            time.sleep(0.1)
        got = sum(len(block) for block in iter(lambda: download.read1(2**20), b""))
    assert answers == {206, 503}
    refused(response, 503, "rights_unknown")
    assert int(response.headers["retry-after"]) > 0
    assert got < LONG / 2
    assert [line for line in toptank.cloud.lines() if "exception" in line] == []
    toptank.vps.start()
    eventually(lambda: viewer.watch(video_id, Range="bytes=0-9").status_code == 206)
