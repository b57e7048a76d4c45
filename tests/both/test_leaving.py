"""Somebody leaves: their tokens open nothing any more on any node, and in the end none of their files is on one."""

import io
import json
import zipfile

from tests.both.people import (
    PASSWORD,
    Person,
    done,
    enroll,
    make_student,
    make_teacher,
    nobody,
    published_course,
    refused,
)
from tests.both.toptank import Node, TopTank, eventually
from tests.clips import Clips

NODES = 2


def leave(person: Person) -> None:
    done(person.vps.send("DELETE", "/users/me", json={"password": PASSWORD}), 202)


def practise(toptank: TopTank, person: Person, film: bytes) -> str:
    """On the second node."""
    there = person.at(toptank.nodes[1])
    return str(done(there.cloud.post("/videos?kind=practice&title=Slowly", content=film), 201)["id"])


def holds_files_of(node: Node, person: Person) -> bool:
    return person.id in [owner for owner, _ in node.originals]


def test_who_leaves_for_good_leaves_no_file_on_any_node(toptank: TopTank, clips: Clips) -> None:
    teacher, viewer = make_teacher(toptank), make_student(toptank)
    there = teacher.at(toptank.nodes[1])
    course, video_id = published_course(toptank, teacher, clips.film)
    practice = practise(toptank, teacher, clips.film)
    eventually(lambda: done(teacher.vps.get("/users/me/videos"))["items"])
    enroll(viewer, course)
    assert viewer.watch(video_id).status_code == teacher.watch(video_id).status_code == 200
    assert there.watch(practice).status_code == 200
    leave(teacher)
    eventually(lambda: teacher.watch(video_id).status_code == 401, within_s=2)
    eventually(lambda: there.watch(practice).status_code == 401, within_s=2)
    assert viewer.watch(video_id).status_code == 200
    assert all(holds_files_of(node, teacher) for node in toptank.nodes)
    toptank.sql("UPDATE leavings SET due_at = now()")
    eventually(lambda: not any(holds_files_of(node, teacher) for node in toptank.nodes), within_s=20)
    eventually(lambda: viewer.watch(video_id).status_code == 404)
    eventually(lambda: toptank.sql("SELECT 1 FROM leavings") == [])
    eventually(lambda: not any(names(node, teacher) for node in toptank.nodes))


def names(node: Node, person: Person) -> bool:
    return bool(node.sql("SELECT 1 FROM grants WHERE teacher_username = ?", person.username))


def test_who_comes_back_in_time_has_everything_as_before(toptank: TopTank, clips: Clips) -> None:
    teacher, viewer = make_teacher(toptank), make_student(toptank)
    course, video_id = published_course(toptank, teacher, clips.film)
    leave(teacher)
    refused(viewer.vps.post(f"/courses/{course.id}/enroll"), 404, "course_not_found")
    login = {"login": teacher.username, "password": PASSWORD}
    token = done(nobody(toptank).vps.post("/auth/login", json=login))["access_token"]
    enroll(viewer, course)
    eventually(lambda: viewer.watch(video_id).status_code == 200)
    with_token = {"Authorization": f"Bearer {token}"}
    eventually(lambda: nobody(toptank).cloud.get(f"/videos/{video_id}", headers=with_token).status_code == 200)


def test_an_export_comes_over_the_wire_as_a_whole_archive(toptank: TopTank, clips: Clips) -> None:
    teacher = make_teacher(toptank)
    _, video_id = published_course(toptank, teacher, clips.film)
    answer = teacher.vps.get("/users/me/export")
    assert answer.headers["transfer-encoding"] == "chunked"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        (video,) = json.loads(archive.read("videos.json"))
    assert (video["id"], video["node"]) == (video_id, toptank.cloud.url)
    assert teacher.watch(video_id).content == clips.film
