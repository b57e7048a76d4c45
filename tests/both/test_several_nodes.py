"""Three nodes and one VPS: each video is where its address says, and every node knows what ended."""

from pathlib import Path

import pytest

from tests.both.people import (
    Course,
    Person,
    done,
    draft_course,
    enroll,
    make_admin,
    make_student,
    make_teacher,
    refused,
)
from tests.both.toptank import Node, TopTank, eventually
from tests.both.wire import upload_to
from tests.clips import Clips, padded

NODES = 3
BOUND_S = 2.0
SETTINGS = {
    "TOPTANK_REPORT_EVERY_S": "0.5",
    "TOPTANK_PRACTICE_QUOTA_BYTES": "60000",
    "TOPTANK_UPLOAD_IDLE_S": "300",  # one upload waits for another, however busy the machine is
    "TOPTANK_UPLOAD_MIN_BYTES_PER_S": "0",
}


@pytest.fixture
def spread(toptank: TopTank, teacher: Person, clips: Clips) -> tuple[Course, list[str]]:
    """A free course with a video on every node."""
    course = draft_course(toptank, teacher)
    lessons = [course.lesson_id, *(course.add_lesson() for _ in range(NODES - 1))]
    videos = [
        str(done(teacher.at(node).upload(lesson, clips.film), 201)["id"])
        for node, lesson in zip(toptank.nodes, lessons, strict=True)
    ]
    course.publish()
    eventually(lambda: course.video_ids() == videos)
    return course, videos


def addresses(viewer: Person, course: Course) -> list[str]:
    return [link["uri"] for link in done(viewer.vps.get(f"/courses/{course.id}/key"))["videos"]]


def on_disk(node: Node, video_id: str) -> bool:
    return any(video == video_id for _, video in node.originals)


def test_an_address_leads_to_the_node_that_holds_the_video(
    toptank: TopTank, spread: tuple[Course, list[str]], clips: Clips
) -> None:
    course, videos = spread
    viewer = make_student(toptank)
    enroll(viewer, course)
    uris = addresses(viewer, course)
    for node, video_id, uri in zip(toptank.nodes, videos, uris, strict=True):
        assert uri.startswith(f"{node.url}/videos/{video_id}/stream?after=")
        assert viewer.watch_at(uri).content == clips.film


def test_a_node_knows_its_own_videos_only(toptank: TopTank, teacher: Person, spread: tuple[Course, list[str]]) -> None:
    _, videos = spread
    for node in toptank.nodes:
        for holder, video_id in zip(toptank.nodes, videos, strict=True):
            answer = teacher.at(node).watch(video_id)
            assert answer.status_code == (200 if node is holder else 404)


def test_a_video_is_deleted_at_another_node_than_its_own(
    toptank: TopTank, teacher: Person, spread: tuple[Course, list[str]], clips: Clips
) -> None:
    course, videos = spread
    viewer = make_student(toptank)
    enroll(viewer, course)
    uris = addresses(viewer, course)
    assert viewer.watch_at(uris[1]).status_code == 200
    for _ in range(2):
        done(teacher.at(toptank.nodes[0]).cloud.delete(f"/videos/{videos[1]}"), 204)
    eventually(lambda: viewer.watch_at(uris[1]).status_code == 404, within_s=BOUND_S)
    eventually(lambda: not on_disk(toptank.nodes[1], videos[1]))
    assert viewer.watch_at(uris[0]).status_code == viewer.watch_at(uris[2]).status_code == 200
    second = done(teacher.at(toptank.nodes[2]).upload(course.lessons[1], clips.film), 201)["id"]
    eventually(lambda: course.video_ids()[1] == second)
    assert viewer.watch_at(addresses(viewer, course)[1]).content == clips.film


def test_a_course_is_deleted_at_any_node(toptank: TopTank, teacher: Person, spread: tuple[Course, list[str]]) -> None:
    course, videos = spread
    viewer = make_student(toptank)
    enroll(viewer, course)
    uris = addresses(viewer, course)
    assert [viewer.watch_at(uri).status_code for uri in uris] == [200] * NODES
    done(teacher.at(toptank.nodes[2]).cloud.delete(f"/courses/{course.id}"), 204)
    eventually(lambda: [viewer.watch_at(uri).status_code for uri in uris] == [404] * NODES, within_s=BOUND_S)
    eventually(lambda: not any(map(on_disk, toptank.nodes, videos)))


def test_nobody_elses_video_is_deleted_anywhere(toptank: TopTank, spread: tuple[Course, list[str]]) -> None:
    course, videos = spread
    other, viewer = make_teacher(toptank), make_student(toptank)
    enroll(viewer, course)
    for node in toptank.nodes:
        for video_id in videos:
            refused(other.at(node).cloud.delete(f"/videos/{video_id}"), 404, "video_not_found")
        refused(other.at(node).cloud.delete(f"/courses/{course.id}"), 404, "course_not_found")
    assert [viewer.watch_at(uri).status_code for uri in addresses(viewer, course)] == [200] * NODES


def test_signing_out_everywhere_is_everywhere(toptank: TopTank, spread: tuple[Course, list[str]]) -> None:
    course, _ = spread
    viewer = make_student(toptank)
    enroll(viewer, course)
    uris = addresses(viewer, course)
    assert [viewer.watch_at(uri).status_code for uri in uris] == [200] * NODES
    done(viewer.vps.delete("/auth/sessions"), 204)
    eventually(lambda: [viewer.watch_at(uri).status_code for uri in uris] == [401] * NODES, within_s=BOUND_S)


def test_a_third_playback_ends_the_oldest_wherever_that_is(toptank: TopTank, spread: tuple[Course, list[str]]) -> None:
    course, videos = spread
    viewer = make_student(toptank)
    enroll(viewer, course)

    def begin(number: int) -> str:
        answer = viewer.at(toptank.nodes[number]).cloud.post(f"/videos/{videos[number]}/playback")
        return str(done(answer, 201)["mp4"][0]["url"])

    def watch(url: str) -> int:
        return toptank.http.get(url).status_code

    first = begin(0)
    second = begin(1)
    assert [watch(first), watch(second)] == [200, 200]
    third = begin(2)
    eventually(lambda: watch(first) == 410, within_s=BOUND_S)
    refused(toptank.http.get(first), 410, "playback_moved")
    assert [watch(second), watch(third)] == [200, 200]
    fourth = begin(0)
    eventually(lambda: watch(second) == 410, within_s=BOUND_S)
    assert [watch(third), watch(fourth)] == [200, 200]
    grants = [node.sql("SELECT count(*) FROM grants WHERE user_id = ?", viewer.id) for node in toptank.nodes]
    assert grants == [[(1,)]] * NODES  # it was the end of no right


def test_one_lesson_takes_one_video_whichever_node_it_is_sent_to(
    toptank: TopTank, teacher: Person, spread: tuple[Course, list[str]], clips: Clips
) -> None:
    course, _ = spread
    for node in toptank.nodes:
        refused(teacher.at(node).upload(course.lesson_id, clips.film), 409, "lesson_has_video")


def test_a_practice_quota_is_one_whichever_nodes_it_is_used_on_at_once(toptank: TopTank, clips: Clips) -> None:
    """Whoever is last is told so at the end of the upload, and nothing of it stays."""
    student, film = make_student(toptank), padded(clips.film, 40_000)
    first, second = (
        upload_to(node.url, student.token, "kind=practice&title=Scales", len(film), {}) for node in toptank.nodes[:2]
    )
    with first, second:
        for wire in (first, second):
            wire.send(film[:-1])
        for node in toptank.nodes[:2]:
            eventually(lambda node=node: node.scratch)  # type: ignore[misc]
        assert first.send(film[-1:]).answer().status == 201
        eventually(lambda: done(student.vps.get("/users/me/videos"))["items"])
        answer = second.send(film[-1:]).answer()
    assert (answer.status, b"quota_exceeded" in answer.body) == (413, True)
    eventually(lambda: not toptank.nodes[1].scratch)


def test_a_node_is_not_another(toptank: TopTank) -> None:
    """Each has a key of its own, and an admin sees each by its name."""
    admin = make_admin(toptank)

    def seen() -> set[tuple[str, str, str]]:
        return {(node["id"], node["state"], node["url"]) for node in done(admin.vps.get("/admin/nodes"))}

    eventually(lambda: seen() == {(node.id, "up", node.url) for node in toptank.nodes})
    keys = {Path(node.public_key).read_text() for node in toptank.nodes}
    assert len(keys) == NODES


def test_uploads_of_a_course_are_sent_where_its_videos_are(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course = draft_course(toptank, teacher)
    first = toptank.nodes[1]
    done(teacher.at(first).upload(course.lesson_id, clips.film), 201)
    eventually(lambda: course.video_ids() != [None])
    place = done(teacher.vps.get(f"/lessons/{course.add_lesson()}/upload-place"))
    assert (place["node"], place["uri"].startswith(first.url)) == (first.id, True)
    response = teacher.cloud.http.post(place["uri"], content=clips.film, headers=teacher.cloud.headers)
    assert response.status_code == 201
