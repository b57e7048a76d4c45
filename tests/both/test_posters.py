"""Pictures for everybody: of what is for sale, as long as it is, and of nothing else."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.both.people import (
    Course,
    Person,
    done,
    draft_course,
    make_admin,
    make_student,
    published_course,
    refused,
)
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, Worker, eventually
from tests.clips import Clips
from tests.documents import PDF

BOUND_S = 2.0
ASKED = "/internal/posters"


@dataclass(frozen=True)
class Scene:
    """A published course whose film is ready."""

    toptank: TopTank
    course: Course
    film: str

    def poster(self, video: str, method: str = "GET", **headers: str) -> httpx.Response:
        """As anybody gets it, who sends no token."""
        return self.toptank.http.request(method, f"{self.toptank.cloud.url}/posters/{video}", headers=headers)

    def on_disk(self, video: str) -> bytes:
        (path,) = (self.toptank.cloud.folder / "media" / "videos").glob(f"*/{video}/poster.jpg")
        return bytes(path.read_bytes())

    def questions(self) -> int:
        return len(self.toptank.vps.requests(ASKED))

    def has_none(self, video: str) -> None:
        """And what there is not is no other than what there never was."""
        answer, of_nothing = self.poster(video), self.poster(str(uuid4()))
        said = [refused(one, 404, "poster_not_found") | {"request_id": ""} for one in (answer, of_nothing)]
        assert said[0] == said[1]
        assert answer.headers["cache-control"] == of_nothing.headers["cache-control"] == "no-store"


@pytest.fixture(scope="module")
def worker(toptank: TopTank) -> Iterator[Worker]:
    toptank.cloud.worker.start()
    yield toptank.cloud.worker
    assert toptank.cloud.worker.stop() == 0


def ready(teacher: Person, video: str) -> None:
    eventually(lambda: done(teacher.cloud.get(f"/videos/{video}"))["status"] == "ready", PROCESSED_WITHIN_S)


@pytest.fixture
def scene(toptank: TopTank, teacher: Person, worker: Worker, clips: Clips) -> Scene:
    course, film = published_course(toptank, teacher, clips.film)
    ready(teacher, film)
    return Scene(toptank, course, film)


def test_anybody_sees_it_and_may_keep_it_for_a_moment(scene: Scene) -> None:
    answer = scene.poster(scene.film)
    assert (answer.status_code, answer.content) == (200, scene.on_disk(scene.film))
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert answer.headers["x-content-type-options"] == "nosniff"
    again = scene.poster(scene.film, **{"If-None-Match": answer.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["cache-control"] == "public, max-age=60"
    head = scene.poster(scene.film, "HEAD")
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(answer.content)))
    assert scene.poster(scene.film.upper()).status_code == 200


def test_the_vps_is_asked_once_a_course(scene: Scene) -> None:
    before = scene.questions()
    assert {scene.poster(scene.film).status_code for _ in range(10)} == {200}
    assert scene.questions() == before + 1


def test_where_it_is_the_vps_tells_everybody(scene: Scene, toptank: TopTank) -> None:
    address = f"{toptank.cloud.url}/posters/{scene.film}"

    def shown() -> tuple[Any, ...]:
        detail = toptank.http.get(f"{toptank.vps.url}/api/courses/{scene.course.id}").json()
        listed = toptank.http.get(f"{toptank.vps.url}/api/courses").json()["items"]
        (in_list,) = (course for course in listed if course["id"] == scene.course.id)
        return in_list["poster_url"], detail["poster_url"], detail["sections"][0]["lessons"][0]["poster_url"]

    eventually(lambda: shown() == (address,) * 3)
    assert toptank.http.get(address).status_code == 200


def test_of_anything_else_there_is_none_and_nobody_is_asked(
    scene: Scene, toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    student = make_student(toptank)
    practice = done(student.cloud.post("/videos?kind=practice&title=Hijaz", content=clips.film), 201)["id"]
    ready(student, practice)
    eventually(lambda: student.vps.get(f"/videos/{practice}").status_code == 200)
    done(student.vps.patch(f"/videos/{practice}", json={"is_public": True}))
    path = f"/files?lesson_id={scene.course.lesson_id}&name=notes.pdf"
    file = done(teacher.cloud.post(path, content=PDF), 201)["id"]
    before = scene.questions()
    for video in (practice, file, str(uuid4()), "x", "%00", f"{scene.film}.jpg", scene.film[:-1]):
        scene.has_none(video)
    assert scene.questions() == before
    for path in (f"{scene.film}/poster.jpg", f"..%2fvideos%2f{scene.film}", "", f"{scene.film}%2f..%2foriginal"):
        assert scene.poster(path).status_code == 404


def test_a_draft_has_none_until_it_is_published(scene: Scene, teacher: Person, toptank: TopTank, clips: Clips) -> None:
    admin, course = make_admin(toptank), draft_course(toptank, teacher)
    film = str(done(teacher.upload(course.lesson_id, clips.film), 201)["id"])
    ready(teacher, film)
    scene.has_none(film)
    assert done(teacher.vps.get(f"/courses/{course.id}"))["poster_url"] is None
    done(teacher.vps.post(f"/courses/{course.id}/submit"))
    scene.has_none(film)
    done(admin.vps.post(f"/admin/courses/{course.id}/approve"))
    eventually(lambda: scene.poster(film).status_code == 200, within_s=BOUND_S)


def test_what_is_taken_out_of_the_shop_shows_no_poster_any_more(scene: Scene, teacher: Person) -> None:
    assert scene.poster(scene.film).status_code == 200
    done(teacher.vps.post(f"/courses/{scene.course.id}/archive"))
    eventually(lambda: scene.poster(scene.film).status_code == 404, within_s=BOUND_S)
    scene.has_none(scene.film)
    detail = done(teacher.vps.get(f"/courses/{scene.course.id}"))
    assert (detail["poster_url"], detail["sections"][0]["lessons"][0]["poster_url"]) == (None, None)


@pytest.mark.parametrize("what", ["video", "course"])
def test_what_is_deleted_shows_none(scene: Scene, teacher: Person, what: str) -> None:
    assert scene.poster(scene.film).status_code == 200
    path = f"/courses/{scene.course.id}" if what == "course" else f"/videos/{scene.film}"
    done(teacher.cloud.delete(path), 204)
    scene.has_none(scene.film)


def test_what_is_to_take_anothers_place_shows_none_before_it_does(
    scene: Scene, toptank: TopTank, teacher: Person, worker: Worker, clips: Clips
) -> None:
    worker.stop()
    try:
        path = f"/videos?lesson_id={scene.course.lesson_id}&replace=true"
        coming = str(done(teacher.cloud.post(path, content=clips.film), 201)["id"])
        scene.has_none(coming)
        assert scene.poster(scene.film).status_code == 200
    finally:
        worker.start()
    ready(teacher, coming)
    eventually(lambda: scene.poster(coming).status_code == 200)
    eventually(lambda: scene.poster(scene.film).status_code == 404)


def test_while_the_vps_is_away_known_ones_are_seen_and_others_are_not(
    scene: Scene, toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    _, other = published_course(toptank, teacher, clips.film)
    ready(teacher, other)
    assert scene.poster(scene.film).status_code == 200
    toptank.vps.kill()
    try:
        assert scene.poster(scene.film).status_code == 200
        scene.has_none(other)
    finally:
        toptank.vps.start()
    eventually(lambda: scene.poster(other).status_code == 200)
