"""Keeping the original: for its owner, admins of courses, and key holders where the teacher allows it while they do."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
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
    published_course,
    refused,
)
from tests.both.playing import wait_until_ready
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire
from tests.clips import Clips, padded

BOUND_S = 2.0


def begun(who: Person, video: str) -> dict[str, Any]:
    began: dict[str, Any] = done(who.cloud.post(f"/videos/{video}/playback"), 201)
    return began


def allow(course: Course, allowed: bool) -> None:
    done(course.teacher.vps.patch(f"/courses/{course.id}", json={"downloads_allowed": allowed}))


@dataclass(frozen=True)
class Scene:
    """A course that may be downloaded, its film, and a student with its key."""

    toptank: TopTank
    course: Course
    film: str
    student: Person

    def fetch(self, url: str, **headers: str) -> httpx.Response:
        return self.toptank.http.get(url, headers={name.replace("_", "-"): value for name, value in headers.items()})


@pytest.fixture
def scene(toptank: TopTank, teacher: Person, clips: Clips) -> Scene:
    course, film = published_course(toptank, teacher, clips.film)
    allow(course, True)
    student = make_student(toptank)
    enroll(student, course)
    return Scene(toptank, course, film, student)


def test_what_is_allowed_is_saved_as_it_was_uploaded_under_its_lessons_name(scene: Scene, clips: Clips) -> None:
    url = begun(scene.student, scene.film)["download"]
    whole = scene.fetch(url)
    assert (whole.status_code, whole.content) == (200, clips.film)
    assert whole.headers["content-type"] == "video/mp4"
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["cache-control"].startswith("private")
    name = "attachment; filename=\"Holding it.mp4\"; filename*=UTF-8''Holding%20it.mp4"
    assert whole.headers["content-disposition"] == name
    part = scene.fetch(url, Range="bytes=100-199", If_Range=whole.headers["etag"])
    assert (part.status_code, part.content) == (206, clips.film[100:200])
    assert part.headers["content-disposition"] == name
    head = scene.toptank.http.head(url)
    assert (head.status_code, head.headers["content-length"]) == (200, str(len(clips.film)))
    assert head.headers["content-disposition"] == name
    refused(scene.toptank.http.post(url), 405, "method_not_allowed")


def saved_as(scene: Scene, who: Person, video: str) -> str:
    disposition = scene.fetch(begun(who, video)["download"]).headers["content-disposition"]
    assert disposition.isascii()
    return str(disposition)


def test_names_in_arabic_and_names_that_no_system_has_are_made_right(scene: Scene, clips: Clips) -> None:
    teacher = scene.course.teacher
    path = f"/sections/{scene.course.section_id}/lessons"
    lesson = done(teacher.vps.post(path, json={"title": "مسك العود"}), 201)["id"]
    film = str(done(teacher.upload(lesson, clips.film), 201)["id"])
    assert saved_as(scene, teacher, film).endswith(f"; filename*=UTF-8''{quote('مسك العود.mp4')}")
    student = make_student(scene.toptank)
    for title, name in (
        ("سماعي بياتي", "سماعي بياتي.mp4"),
        ('a/b\\c"d;e', "a_b_c_d_e.mp4"),
        ("clip.exe", "clip.exe.mp4"),
        ("Scales.mp4", "Scales.mp4"),
        ("ع" * 200, "ع" * 196 + ".mp4"),
        ("fdp.\u202eexe", None),
        ("...", None),
    ):
        sent = student.cloud.post(f"/videos?kind=practice&title={quote(title)}", content=clips.film)
        video = str(done(sent, 201)["id"])
        disposition = saved_as(scene, student, video)
        assert disposition.endswith(f"; filename*=UTF-8''{quote(name or f'{video}.mp4', safe='')}"), title
        done(student.cloud.delete(f"/videos/{video}"), 204)


def test_whoever_may_not_keep_it_gets_no_link_and_finds_nothing_at_its_place(
    scene: Scene, toptank: TopTank, clips: Clips
) -> None:
    admin, stranger, friend = make_admin(toptank), make_student(toptank), make_student(toptank)
    teacher = scene.course.teacher
    done(teacher.vps.patch(f"/lessons/{scene.course.lesson_id}", json={"is_preview": True}))
    practice = str(done(stranger.cloud.post("/videos?kind=practice&title=x", content=clips.film), 201)["id"])
    eventually(lambda: stranger.vps.get(f"/videos/{practice}").status_code == 200)
    done(stranger.vps.put(f"/videos/{practice}/shares/{friend.username}"))
    may = [
        *((scene.student, scene.film, True), (teacher, scene.film, True), (admin, scene.film, True)),
        *((stranger, practice, True), (friend, practice, False), (admin, practice, False)),
        (stranger, scene.film, False),
    ]
    for who, video, is_allowed in may:
        began = begun(who, video)
        link = began["mp4"][0]["url"].rpartition("/")[0] + "/download"
        assert began["download"] == (link if is_allowed else None)
        if is_allowed:
            assert scene.fetch(link).content == clips.film
        else:
            refused(scene.fetch(link), 403, "download_not_allowed")
        assert scene.fetch(began["mp4"][0]["url"]).status_code == 200


def test_a_teacher_takes_it_back_within_seconds_and_watching_goes_on(scene: Scene) -> None:
    """Also for whom had begun when it was allowed; and it comes back."""
    began = begun(scene.student, scene.film)
    watching, download = began["mp4"][0]["url"], began["download"]
    for allowed, status in ((False, 403), (True, 200), (False, 403)):
        allow(scene.course, allowed)
        eventually(lambda status=status: scene.fetch(download).status_code == status, within_s=BOUND_S)  # type: ignore[misc]
        assert scene.fetch(watching).status_code == 200
    refused(scene.fetch(download), 403, "download_not_allowed")
    assert begun(scene.student, scene.film)["download"] is None
    assert begun(scene.course.teacher, scene.film)["download"]


def test_taking_it_back_cuts_a_download_in_the_middle(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    large = padded(clips.film, 24 * 2**20)
    course, film = published_course(toptank, teacher, large)
    allow(course, True)
    student = make_student(toptank)
    enroll(student, course)
    url = begun(student, film)["download"]
    with Wire(toptank.cloud.url) as wire:
        wire.request("GET", urlsplit(url).path, {})
        response = wire.headers()
        assert (response.status, response.getheader("content-length")) == (200, str(len(large)))
        got = len(response.read(2**20))
        allow(course, False)
        eventually(lambda: toptank.http.head(url).status_code == 403, within_s=BOUND_S)
        while block := response.read1(2**20):
            got += len(block)
    assert got < len(large) / 2


ENDS: dict[str, Callable[[Scene], None]] = {
    "the key is taken away": lambda scene: done(
        make_admin(scene.toptank).vps.post(
            f"/admin/keys/{done(scene.student.vps.get(f'/courses/{scene.course.id}/key'))['key']['id']}/void"
        )
    ),
    "they sign out everywhere": lambda scene: done(scene.student.vps.delete("/auth/sessions"), 204),
    "the course is deleted": lambda scene: done(scene.course.teacher.cloud.delete(f"/courses/{scene.course.id}"), 204),
}


@pytest.mark.parametrize("end", ENDS)
def test_it_ends_with_the_right_to_watch(scene: Scene, end: str) -> None:
    url = begun(scene.student, scene.film)["download"]
    assert scene.fetch(url).status_code == 200
    ENDS[end](scene)
    eventually(lambda: scene.fetch(url).status_code in (403, 404, 410), within_s=BOUND_S)


def test_it_holds_over_a_restart_without_a_question(scene: Scene, toptank: TopTank) -> None:
    url = begun(scene.student, scene.film)["download"]
    eventually(toptank.all_is_heard)
    asked = len(toptank.vps.requests("/internal/access"))
    toptank.cloud.restart()
    assert scene.fetch(url).status_code == 200
    assert len(toptank.vps.requests("/internal/access")) == asked


def test_an_uploader_keeps_it_without_a_question(toptank: TopTank, clips: Clips) -> None:
    teacher = make_teacher(toptank)
    course = draft_course(toptank, teacher)
    film = str(done(teacher.upload(course.lesson_id, clips.film), 201)["id"])
    eventually(toptank.all_is_heard)
    asked = len(toptank.vps.requests("/internal/access"))
    assert begun(teacher, film)["download"]
    assert len(toptank.vps.requests("/internal/access")) == asked


def test_the_stream_is_no_way_to_keep_what_is_not_to_be_kept(scene: Scene, toptank: TopTank) -> None:
    """As long as nothing else can be played it is the original for everybody; then for those alone who may keep it."""
    allow(scene.course, False)
    film, path = scene.film, f"/videos/{scene.film}/stream?rendition=original"
    whole = scene.student.watch(film).content
    assert (scene.student.cloud.get(path).content, scene.course.teacher.watch(film).content) == (whole, whole)
    toptank.cloud.worker.start()
    wait_until_ready(scene.course.teacher, film)
    assert toptank.cloud.worker.stop() == 0
    sd = scene.student.watch(film).content
    assert sd == scene.course.teacher.cloud.get(f"/videos/{film}/stream?rendition=sd").content != whole
    refused(scene.student.cloud.get(path), 404, "rendition_not_found")
    for who in (scene.course.teacher, make_admin(toptank)):
        assert (who.watch(film).content, who.cloud.get(path).content) == (whole, whole)
    allow(scene.course, True)
    eventually(lambda: scene.student.watch(film).content == scene.student.cloud.get(path).content == whole)


def test_a_key_bought_after_watching_a_preview_lets_its_holder_keep_that_too(scene: Scene, toptank: TopTank) -> None:
    done(scene.course.teacher.vps.patch(f"/lessons/{scene.course.lesson_id}", json={"is_preview": True}))
    student = make_student(toptank)
    assert begun(student, scene.film)["download"] is None
    enroll(student, scene.course)
    eventually(lambda: begun(student, scene.film)["download"], within_s=BOUND_S)


@pytest.mark.parametrize("is_link", [True, False])
def test_what_takes_no_right_to_watch_lets_an_answer_go_on(
    toptank: TopTank, teacher: Person, clips: Clips, is_link: bool
) -> None:
    """Downloads are allowed, and the course is for sale no more, while its holder watches on."""
    large = padded(clips.film, 24 * 2**20)
    course, film = published_course(toptank, teacher, large)
    student = make_student(toptank)
    enroll(student, course)
    url = begun(student, film)["mp4"][0]["url"] if is_link else f"/videos/{film}/stream"
    remembered = "SELECT 1 FROM grants WHERE user_id = ?"
    with Wire(toptank.cloud.url) as wire:
        wire.request("GET", urlsplit(url).path, {"Authorization": f"Bearer {student.token}"})
        response = wire.headers()
        got = response.read(2**20)
        assert toptank.cloud.sql(remembered, student.id)
        allow(course, True)
        done(teacher.vps.post(f"/courses/{course.id}/archive"))
        eventually(lambda: not toptank.cloud.sql(remembered, student.id))
        while block := response.read1(2**20):
            got += block
    assert got == large
