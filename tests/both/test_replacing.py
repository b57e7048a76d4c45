"""A lesson's video is replaced, and practice videos are kept: upload, worker, node and VPS, each a process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.both.people import (
    Course,
    Person,
    done,
    enroll,
    make_admin,
    make_student,
    published_course,
    refused,
)
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, Worker, eventually, settled
from tests.clips import Clips

SETTINGS = {"TOPTANK_PROCESSING_RETRY_S": "0"}


@pytest.fixture(scope="module")
def worker(toptank: TopTank) -> Iterator[Worker]:
    toptank.cloud.worker.start()
    yield toptank.cloud.worker
    assert toptank.cloud.worker.stop() == 0


def lesson_of(course: Course) -> dict[str, Any]:
    """As its teacher is told by the VPS."""
    (lesson,) = done(course.teacher.vps.get(f"/courses/{course.id}"))["sections"][0]["lessons"]
    return dict(lesson)


def has_failed(course: Course) -> bool:
    coming = lesson_of(course)["replacement"]
    return coming is not None and coming["status"] == "error"


def replace_video(course: Course, content: bytes) -> str:
    video = done(course.teacher.cloud.post(f"/videos?lesson_id={course.lesson_id}&replace=true", content=content), 201)
    return str(video["id"])


def test_the_old_video_plays_until_the_new_one_is_ready_and_then_is_gone(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    student = make_student(toptank)
    course, old = published_course(toptank, teacher, clips.film)
    enroll(student, course)
    eventually(lambda: lesson_of(course)["status"] == "ready", PROCESSED_WITHIN_S)
    worker.stop()
    new = replace_video(course, clips.large)
    eventually(lambda: lesson_of(course)["replacement"])
    assert (lesson_of(course)["video_id"], lesson_of(course)["replacement"]["id"]) == (old, new)
    assert student.watch(old).status_code == 200
    assert teacher.watch(old).content == clips.film
    assert teacher.watch(new).content == clips.large
    refused(student.watch(new), 404, "video_not_found")

    worker.start()
    eventually(lambda: lesson_of(course)["video_id"] == new, PROCESSED_WITHIN_S)
    assert (lesson_of(course)["status"], lesson_of(course)["replacement"]) == ("ready", None)
    (link,) = done(student.vps.get(f"/courses/{course.id}/key"))["videos"]
    assert student.watch_at(link["uri"]).status_code == 200
    assert teacher.watch(new).content == clips.large
    eventually(lambda: student.watch(old).status_code == 404)
    eventually(lambda: not list((toptank.cloud.folder / "media" / "videos").glob(f"*/{old}")))


def test_a_replacement_against_the_deletion_of_the_old_video_has_its_place_in_the_end(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    """Whichever comes first; nothing stays of the old one. While that goes, the new one may have to be sent again."""

    def insist(course: Course) -> str:
        path = f"/videos?lesson_id={course.lesson_id}&replace=true"
        while (answer := teacher.cloud.post(path, content=clips.large)).status_code == 409:
            assert answer.json()["code"] == "lesson_has_video"
        return str(done(answer, 201)["id"])

    pairs = [published_course(toptank, teacher, clips.film) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        uploads = [pool.submit(insist, course) for course, _ in pairs]
        deletions = [pool.submit(teacher.cloud.delete, f"/videos/{old}") for _, old in pairs]
        assert {deletion.result().status_code for deletion in deletions} == {204}
        new = [upload.result() for upload in uploads]
    courses, old = [course for course, _ in pairs], [video_id for _, video_id in pairs]
    eventually(lambda: [lesson_of(course)["video_id"] for course in courses] == new)
    eventually(lambda: {lesson_of(course)["status"] for course in courses} == {"ready"}, PROCESSED_WITHIN_S)
    assert [lesson_of(course)["replacement"] for course in courses] == [None] * 4
    assert {teacher.watch(video_id).content for video_id in new} == {clips.large}
    assert {teacher.watch(video_id).status_code for video_id in old} == {404}
    eventually(lambda: not toptank.node_sql("SELECT 1 FROM outbox"))
    settled(toptank.check_nothing_left_over)


def test_after_a_replacement_that_failed_the_next_one_takes_the_place(
    toptank: TopTank, worker: Worker, teacher: Person, clips: Clips
) -> None:
    course, old = published_course(toptank, teacher, clips.film)
    eventually(lambda: lesson_of(course)["status"] == "ready", PROCESSED_WITHIN_S)
    worker.restart(FFMPEG_PATH="/bin/false")
    try:
        failed = replace_video(course, clips.film)
        eventually(lambda: has_failed(course), PROCESSED_WITHIN_S)
    finally:
        worker.restart()
    assert (lesson_of(course)["video_id"], lesson_of(course)["replacement"]["id"]) == (old, failed)
    new = replace_video(course, clips.large)
    refused(teacher.watch(failed), 404, "video_not_found")
    eventually(lambda: lesson_of(course)["video_id"] == new, PROCESSED_WITHIN_S)
    eventually(lambda: teacher.watch(old).status_code == 404)
    assert not list((toptank.cloud.folder / "media" / "videos").glob(f"*/{failed}"))


def test_a_practice_video_is_found_and_watched_by_its_owner_and_by_admins_until_it_is_deleted(
    toptank: TopTank, worker: Worker, clips: Clips
) -> None:
    student, other, admin = make_student(toptank), make_student(toptank), make_admin(toptank)
    place = done(student.vps.get("/users/me/upload-place"))["uri"]
    headers = {"Authorization": f"Bearer {student.token}"}
    sent = toptank.http.post(f"{place}&title=Maqam%20Rast", content=clips.film, headers=headers)
    video_id = done(sent, 201)["id"]

    def mine() -> Any:
        return done(student.vps.get("/users/me/videos"))["items"]

    eventually(lambda: [video["status"] for video in mine()] == ["ready"], PROCESSED_WITHIN_S)
    (video,) = mine()
    assert (video["id"], video["title"], video["size"]) == (video_id, "Maqam Rast", len(clips.film))
    assert student.watch_at(video["uri"]).content == clips.film
    assert admin.watch_at(video["uri"]).status_code == 200
    refused(other.watch_at(video["uri"]), 404, "video_not_found")
    done(student.cloud.delete(f"/videos/{video_id}"), 204)
    assert mine() == []
    refused(admin.watch_at(video["uri"]), 404, "video_not_found")
