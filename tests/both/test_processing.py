"""From an upload to a video that plays everywhere: the worker, the node and the VPS, each a process of its own."""

import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.both.people import Course, Person, done, draft_course, make_admin, make_student, published_course, refused
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, Worker, eventually
from tests.clips import Clips
from tests.processes import stopped_in

SETTINGS = {"TOPTANK_PROCESSING_RETRY_S": "0", "TOPTANK_PROCESSING_LEASE_S": "3"}
STOPPED_WITHIN_S = 5.0
SLOW_S = 6
"""How long the slow clip lasts."""


@pytest.fixture(scope="module")
def worker(toptank: TopTank) -> Iterator[Worker]:
    toptank.cloud.worker.start()
    yield toptank.cloud.worker
    assert toptank.cloud.worker.stop() == 0


def shown(who: Person, video_id: str) -> dict[str, Any]:
    video: dict[str, Any] = done(who.cloud.get(f"/videos/{video_id}"))
    return video


def is_ready(who: Person, video_id: str) -> bool:
    return bool(shown(who, video_id)["status"] == "ready")


def lesson_of(course: Course) -> dict[str, Any]:
    """As the VPS tells it."""
    detail = done(course.teacher.vps.get(f"/courses/{course.id}"))
    (lesson,) = detail["sections"][0]["lessons"]
    return dict(lesson)


def test_an_upload_becomes_a_video_that_plays_everywhere(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    eventually(lambda: is_ready(teacher, video_id), PROCESSED_WITHIN_S)
    video = shown(teacher, video_id)
    assert (video["percent_done"], video["reason"]) == (100, None)
    (rendition,) = video["renditions"]
    assert (rendition["name"], rendition["width"], rendition["height"]) == ("sd", 160, 90)
    eventually(lambda: lesson_of(course)["status"] == "ready")
    assert [made["name"] for made in lesson_of(course)["renditions"]] == ["sd"]
    assert teacher.watch(video_id).content == clips.film


def test_how_the_processing_went_is_for_the_owner_and_for_admins(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    eventually(lambda: is_ready(teacher, video_id), PROCESSED_WITHIN_S)
    went = done(teacher.cloud.get(f"/videos/{video_id}/processing"))
    assert (went["status"], went["percent_done"], went["attempt"], went["step"]) == ("ready", 100, 1, None)
    assert [(step["name"], step["result"]) for step in went["steps"]] == [
        (name, "made") for name in ("metadata", "poster", "sd", "storyboard")
    ]
    assert all(step["seconds"] >= 0 and step["reason"] is None for step in went["steps"])
    path = f"/videos/{video_id}/processing"
    assert done(make_admin(toptank).cloud.get(path)) == went
    student = make_student(toptank)
    done(student.vps.post(f"/courses/{course.id}/enroll"), 201)
    done(student.cloud.get(f"/videos/{video_id}"))
    refused(student.cloud.get(path), 404, "video_not_found")
    refused(make_student(toptank).cloud.get(path), 404, "video_not_found")


def test_how_fast_it_goes_is_told_while_it_goes_and_afterwards(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    """In seconds of video a second."""
    course = draft_course(toptank, teacher)
    video_id = done(teacher.upload(course.lesson_id, clips.slow), 201)["id"]
    ffmpeg = stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S)

    def told() -> Any:
        return done(teacher.cloud.get(f"/videos/{video_id}/processing"))

    def has_told_its_speed() -> Any:
        """Stopped, but for a moment: so that it does not come to its end before."""
        os.kill(ffmpeg, signal.SIGCONT)
        time.sleep(0.005)
        os.kill(ffmpeg, signal.SIGSTOP)
        return (now := told())["speed"] and now

    try:
        going = eventually(has_told_its_speed)
        os.kill(ffmpeg, signal.SIGCONT)
    except BaseException:
        done(teacher.cloud.delete(f"/videos/{video_id}"), 204)  # which ends what is stopped
        raise
    assert (going["status"], going["attempt"], going["step"]) == ("processing", 1, "sd")
    assert 0 < going["percent_done"] < 100
    eventually(lambda: is_ready(teacher, video_id), PROCESSED_WITHIN_S)
    went = told()
    (step,) = [step for step in went["steps"] if step["name"] == "sd"]
    assert 0.8 < step["speed"] * step["seconds"] / SLOW_S < 4  # the step takes a moment to begin and to end
    assert 0 < going["speed"] < step["speed"] * 100
    assert (went["speed"], went["step"]) == (0, None)


def test_a_video_that_cannot_be_processed_says_why_and_still_plays(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    course = draft_course(toptank, teacher)
    worker.restart(FFMPEG_PATH="/bin/false")
    try:
        video_id = done(teacher.upload(course.lesson_id, clips.film), 201)["id"]
        eventually(lambda: shown(teacher, video_id)["status"] == "error", PROCESSED_WITHIN_S)
    finally:
        worker.restart()
    assert shown(teacher, video_id)["reason"] == "The video could not be converted."
    eventually(lambda: lesson_of(course)["status"] == "error")
    assert lesson_of(course)["reason"] == "The video could not be converted."
    course.publish()
    student = make_student(toptank)
    done(student.vps.post(f"/courses/{course.id}/enroll"), 201)
    assert (shown(student, video_id)["status"], shown(student, video_id)["reason"]) == ("error", None)
    assert shown(make_admin(toptank), video_id)["reason"]
    assert teacher.watch(video_id).content == clips.film


def test_deleting_a_video_stops_its_processing_and_leaves_nothing(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    course = draft_course(toptank, teacher)
    video_id = done(teacher.upload(course.lesson_id, clips.slow), 201)["id"]
    ffmpeg = stopped_in(worker.pid, "ffmpeg", "/sd.mp4", PROCESSED_WITHIN_S)  # so that it is the deletion which ends it
    work = toptank.cloud.folder / "media" / "work"
    assert [folder.name for folder in work.iterdir()] == [video_id]
    done(teacher.cloud.delete(f"/videos/{video_id}"), 204)
    eventually(lambda: not os.path.exists(f"/proc/{ffmpeg}") and not list(work.iterdir()), STOPPED_WITHIN_S)
    toptank.check_nothing_left_over()
    assert not list((toptank.cloud.folder / "media" / "videos").glob(f"*/{video_id}"))
    _, another = published_course(toptank, teacher, clips.film)
    eventually(lambda: is_ready(teacher, another), PROCESSED_WITHIN_S)


def test_what_waits_and_what_failed_is_counted(toptank: TopTank, worker: Worker) -> None:
    told = httpx.get(f"{toptank.cloud.url}/metrics").text
    assert "toptank_jobs_waiting 0.0" in told
    assert "toptank_jobs_running 0.0" in told
    assert "toptank_videos_failed 1.0" in told
