"""The whole path: a teacher uploads, a student pays, gets a key, and streams, byte for byte."""

import hashlib
from uuid import uuid4

import httpx
import pytest

from shared.contract import STANDING
from tests.both.people import (
    Person,
    done,
    draft_course,
    enroll,
    followers_of,
    make_admin,
    make_student,
    make_teacher,
    published_course,
    refused,
)
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips


def test_a_bought_course_streams_byte_for_byte(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    toptank.simulator.start()
    buyer, admin = make_student(toptank), make_admin(toptank)
    course = draft_course(toptank, teacher, amount=25_000)
    video = done(teacher.upload(course.lesson_id, clips.large), 201)
    eventually(lambda: course.video_ids() == [video["id"]])
    done(teacher.vps.post(f"/courses/{course.id}/submit"))
    done(admin.vps.post(f"/admin/courses/{course.id}/approve"))
    refused(buyer.watch(video["id"]), 403, "key_required")

    payment = done(buyer.vps.post("/payments", json={"course_id": course.id, "provider": "simulator"}), 201)
    assert toptank.http.post(f"{payment['action']['url']}/paid").status_code == 303
    paid = done(buyer.vps.post(f"/payments/{payment['id']}/verify"))
    assert [link["lesson_id"] for link in paid["videos"]] == [course.lesson_id]

    uri, streamed = paid["videos"][0]["uri"], hashlib.sha256()
    for start in range(0, len(clips.large), 500_000):
        headers = {"Authorization": f"Bearer {buyer.token}", "Range": f"bytes={start}-{start + 499_999}"}
        part = httpx.get(uri, headers=headers)
        assert part.status_code == 206
        streamed.update(part.content)
    assert streamed.hexdigest() == hashlib.sha256(clips.large).hexdigest() == video["sha256"]


def test_an_upload_is_announced_to_the_vps(toptank: TopTank, teacher: Person, student: Person, clips: Clips) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    enroll(student, course)
    shown = done(student.vps.get(f"/courses/{course.id}/key"))["videos"]
    (address,) = [link["uri"].partition("?after=") for link in shown]
    assert address[0] == f"{toptank.cloud.url}/videos/{video_id}/stream"
    assert int(address[2]) > 0


def test_the_state_of_a_video_is_shown_to_whoever_may_watch(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    _, video_id = published_course(toptank, teacher, clips.film)
    shown = done(teacher.cloud.get(f"/videos/{video_id}"))
    assert (shown["status"], shown["percent_done"], shown["renditions"]) == ("processing", 0, [])
    assert shown["plays_original"]
    assert (shown["size"], shown["width"], shown["height"]) == (len(clips.film), 160, 90)
    assert shown["duration_s"] == pytest.approx(1, abs=0.2)
    refused(make_student(toptank).cloud.get(f"/videos/{video_id}"), 403, "key_required")


# --- permission ---------------------------------------------------------------------------------------


def test_a_student_may_not_upload(student: Person) -> None:
    assert done(student.cloud.get("/uploads/permission")) == {
        "allowed": False,
        "reason": "not_a_teacher",
        "followers": 0,
        "required": 3,
    }


def test_a_teacher_one_follower_short_may_not_upload(toptank: TopTank) -> None:
    short = make_teacher(toptank, followers=2)
    answer = done(short.cloud.get("/uploads/permission"))
    assert (answer["allowed"], answer["reason"], answer["followers"]) == (False, "not_enough_followers", 2)


def test_the_last_follower_opens_uploading_at_once(toptank: TopTank) -> None:
    teacher = make_teacher(toptank, followers=2)
    assert not done(teacher.cloud.get("/uploads/permission"))["allowed"]
    done(followers_of(toptank)[2].vps.put(f"/teachers/{teacher.username}/follow"))
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]


def test_permission_covers_ones_own_courses_only(toptank: TopTank, teacher: Person) -> None:
    own, foreign = draft_course(toptank, teacher), draft_course(toptank, make_teacher(toptank))
    assert done(teacher.cloud.get(f"/uploads/permission?course_id={own.id}"))["allowed"]
    assert done(teacher.cloud.get(f"/uploads/permission?course_id={foreign.id}"))["reason"] == "course_not_yours"
    assert done(teacher.cloud.get(f"/uploads/permission?course_id={uuid4()}"))["reason"] == "course_not_yours"


def test_a_second_permission_asks_nobody(toptank: TopTank) -> None:
    teacher = make_teacher(toptank)
    eventually(toptank.all_is_heard)
    before = len(toptank.vps.requests(STANDING))
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    assert len(toptank.vps.requests(STANDING)) == before + 1


def test_one_request_id_goes_through_both_logs(toptank: TopTank) -> None:
    teacher = make_teacher(toptank)
    response = teacher.cloud.get("/uploads/permission", headers={"X-Request-ID": "follow-me-1234"})
    assert response.headers["x-request-id"] == "follow-me-1234"
    assert "follow-me-1234" in [line["request_id"] for line in toptank.vps.requests(STANDING)]
    assert "follow-me-1234" in [line.get("request_id") for line in toptank.cloud.requests("/uploads/permission")]


def test_a_problem_names_its_request(toptank: TopTank, student: Person) -> None:
    response = student.cloud.get(f"/videos/{uuid4()}", headers={"X-Request-ID": "find-me-1234"})
    assert refused(response, 404, "video_not_found")["request_id"] == "find-me-1234"
    response = student.watch(str(uuid4()), X_Request_ID="find-me-5678")
    assert refused(response, 404, "video_not_found")["request_id"] == "find-me-5678"
