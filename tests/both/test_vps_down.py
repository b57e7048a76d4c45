"""The VPS is away: what is remembered goes on, what is not is 503 with a time to ask again, and nothing is refused."""

from dataclasses import dataclass

import httpx
import pytest

from tests.both.people import Course, Person, done, enroll, make_student, make_teacher, published_course, refused
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips


@dataclass(frozen=True)
class Scene:
    course: Course
    video_id: str
    cached: Person
    uncached: Person

    @property
    def teacher(self) -> Person:
        return self.course.teacher


@pytest.fixture(scope="module")
def scene(toptank: TopTank, clips: Clips) -> Scene:
    """Everything is set up, then the VPS is killed, and stays away for all of these tests."""
    teacher = make_teacher(toptank)
    course, video_id = published_course(toptank, teacher, clips.film)
    cached, uncached = make_student(toptank), make_student(toptank)
    enroll(cached, course)
    enroll(uncached, course)
    assert cached.watch(video_id).status_code == 200
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    toptank.vps.kill()
    return Scene(course, video_id, cached, uncached)


def unknown(response: httpx.Response) -> None:
    refused(response, 503, "vps_unreachable")
    assert int(response.headers["retry-after"]) > 0


def test_a_cached_viewer_watches_on(scene: Scene, clips: Clips) -> None:
    for _ in range(3):
        assert scene.cached.watch(scene.video_id).content == clips.film
    assert done(scene.cached.cloud.get(f"/videos/{scene.video_id}"))["status"] == "processing"


def test_an_unknown_viewer_is_told_to_come_back(scene: Scene) -> None:
    unknown(scene.uncached.watch(scene.video_id))
    unknown(scene.uncached.cloud.get(f"/videos/{scene.video_id}"))


def test_uploads_wait_for_the_vps(scene: Scene, clips: Clips) -> None:
    """Even those of a teacher whose standing is remembered."""
    unknown(scene.teacher.upload(scene.course.lessons[0], clips.film))


def test_deletions_wait_for_the_vps_and_remove_nothing(scene: Scene, clips: Clips) -> None:
    unknown(scene.teacher.cloud.delete(f"/videos/{scene.video_id}"))
    unknown(scene.teacher.cloud.delete(f"/courses/{scene.course.id}"))
    assert scene.cached.watch(scene.video_id).content == clips.film


def test_a_remembered_permission_is_answered(scene: Scene) -> None:
    assert done(scene.teacher.cloud.get("/uploads/permission"))["allowed"]
    assert done(scene.teacher.cloud.get(f"/uploads/permission?course_id={scene.course.id}"))["allowed"]


def test_a_permission_that_is_not_remembered_is_unknown(scene: Scene) -> None:
    unknown(scene.uncached.cloud.get("/uploads/permission"))


def test_a_node_is_ready_without_the_vps(toptank: TopTank, scene: Scene) -> None:
    """And says how old its knowledge is, which is what its operator has to know."""

    def trust_age_s() -> float:
        ready = done(toptank.http.get(f"{toptank.cloud.url}/health/ready"))
        assert ready["status"] == "ok"
        return float(ready["trust_age_s"])

    first = trust_age_s()
    eventually(lambda: trust_age_s() > first)


def test_a_node_that_restarts_meanwhile_still_serves_whom_it_knows(
    toptank: TopTank, scene: Scene, clips: Clips
) -> None:
    """Keys of tokens, grants, videos: all were kept."""
    toptank.cloud.kill()
    toptank.cloud.start()
    assert scene.cached.watch(scene.video_id).content == clips.film
    assert done(scene.teacher.cloud.get("/uploads/permission"))["allowed"]
    unknown(scene.uncached.watch(scene.video_id))
