"""From pressing play to the last byte: signed links by which any player plays, and which end when the right does."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from cloud_service.processing.ffmpeg import program
from tests.both.people import (
    Course,
    Person,
    done,
    draft_course,
    enroll,
    make_student,
    make_teacher,
    nobody,
    published_course,
    refused,
)
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, Worker, eventually
from tests.clips import Clips

BOUND_S = 2.0
CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nAllegro\n"


@dataclass(frozen=True)
class Scene:
    """A course whose film is ready, and a student who has its key."""

    toptank: TopTank
    course: Course
    film: str
    student: Person

    def folder(self) -> Any:
        return self.toptank.cloud.folder / "media" / "videos" / self.course.teacher.id / self.film

    def fetch(self, url: str, **headers: str) -> httpx.Response:
        """As a player does, which has nothing but the link."""
        return self.toptank.http.get(url, headers=headers)


@pytest.fixture(scope="module")
def worker(toptank: TopTank) -> Iterator[Worker]:
    toptank.cloud.worker.start()
    yield toptank.cloud.worker
    assert toptank.cloud.worker.stop() == 0


@pytest.fixture(scope="module")
def scene(toptank: TopTank, worker: Worker, clips: Clips) -> Scene:
    teacher = make_teacher(toptank)
    course, film = published_course(toptank, teacher, clips.film)
    done(teacher.cloud.put(f"/videos/{film}/captions/it", content=CAPTIONS))
    eventually(lambda: done(teacher.cloud.get(f"/videos/{film}"))["status"] == "ready", PROCESSED_WITHIN_S)
    student = make_student(toptank)
    enroll(student, course)
    return Scene(toptank, course, film, student)


def playback(who: Person, video_id: str) -> dict[str, Any]:
    began: dict[str, Any] = done(who.cloud.post(f"/videos/{video_id}/playback"), 201)
    return began


def test_a_player_that_has_the_link_alone_reads_the_film_through_its_playlists(scene: Scene) -> None:
    began = playback(scene.student, scene.film)
    master = scene.fetch(began["hls"])
    assert (master.status_code, master.headers["content-type"]) == (200, "application/vnd.apple.mpegurl")
    (media,) = [urljoin(began["hls"], line) for line in master.text.splitlines() if line and not line.startswith("#")]
    playlist = scene.fetch(media).text
    made = (scene.folder() / "sd.mp4").read_bytes()
    parts = [(0, int(size)) for size in re.findall(r'BYTERANGE="(\d+)@0"', playlist)]
    parts += [(int(start), int(size)) for size, start in re.findall(r"#EXT-X-BYTERANGE:(\d+)@(\d+)", playlist)]
    film = urljoin(media, "sd.mp4")
    got = [scene.fetch(film, Range=f"bytes={start}-{start + size - 1}") for start, size in parts]
    assert {answer.status_code for answer in got} == {206}
    assert len(parts) > 1
    assert [answer.content for answer in got] == [made[start : start + size] for start, size in parts]
    assert {answer.headers["cache-control"] for answer in got} == {"private, no-cache"}


def test_everything_that_is_offered_is_there_and_labelled_as_what_it_is(scene: Scene) -> None:
    began = playback(scene.student, scene.film)
    assert (began["video_id"], began["viewer_label"]) == (scene.film, scene.student.username)
    assert [made["name"] for made in began["renditions"]] == ["sd"]
    (single,) = began["mp4"]
    assert (single["name"], single["media_type"]) == ("sd", "video/mp4")
    offered = {
        single["url"]: ("video/mp4", "sd.mp4"),
        began["poster"]: ("image/jpeg", "poster.jpg"),
        began["storyboard"]: ("text/vtt; charset=utf-8", "storyboard.vtt"),
        urljoin(began["storyboard"], "storyboard.jpg"): ("image/jpeg", "storyboard.jpg"),
        began["captions"][0]["url"]: ("text/vtt; charset=utf-8", "captions.it.vtt"),
    }
    for url, (media_type, name) in offered.items():
        answer = scene.fetch(url)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media_type), url
        assert answer.content == (scene.folder() / name).read_bytes()
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_ffmpeg_plays_the_link_to_its_end(scene: Scene) -> None:
    command = [program(), "-v", "error", "-i", playback(scene.student, scene.film)["hls"], "-f", "null", "-"]
    played = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (played.returncode, played.stderr) == (0, "")


def test_of_what_lies_in_a_videos_folder_nothing_is_reached_but_what_links_lead_to(scene: Scene) -> None:
    base = playback(scene.student, scene.film)["hls"].removesuffix("master.m3u8")
    found = {name for path in scene.folder().iterdir() if scene.fetch(base + (name := path.name)).status_code == 200}
    assert found == {"master.m3u8", "sd.m3u8", "sd.mp4", "poster.jpg", "storyboard.jpg", "storyboard.vtt"}
    for name in ("..%2foriginal", "%2e%2e/original", "captions/..%2foriginal.vtt", "captions/IT.vtt", "hd.mp4", ""):
        assert scene.fetch(base + name).status_code == 404, name


@pytest.mark.parametrize(
    ("place", "status", "code"),
    [
        (0, 410, "playback_expired"),  # of another secret: perhaps of an earlier one
        (10, 404, "playback_not_found"),
        (30, 404, "playback_not_found"),
        (60, 404, "playback_not_found"),
        (95, 404, "playback_not_found"),
    ],
)
def test_a_token_with_one_letter_changed_is_none(scene: Scene, place: int, status: int, code: str) -> None:
    url = playback(scene.student, scene.film)["hls"]
    token = urlsplit(url).path.split("/")[2]
    other = "A" if token[place] != "A" else "B"
    forged = url.replace(token, token[:place] + other + token[place + 1 :])
    refused(scene.fetch(forged), status, code)


def test_tokens_of_other_kinds_and_of_no_kind_open_nothing(scene: Scene) -> None:
    url = playback(scene.student, scene.film)["hls"]
    token = urlsplit(url).path.split("/")[2]
    for other in (scene.student.token, token[:-1], token + "A", token[:-4] + "====", " " + token, "-", "%00", "é" * 96):
        refused(scene.fetch(url.replace(token, other)), 404, "playback_not_found")
    headers = {"Authorization": f"Bearer {token}"}
    refused(
        scene.toptank.http.get(f"{scene.toptank.cloud.url}/videos/{scene.film}", headers=headers),
        401,
        "not_authenticated",
    )


def test_no_log_holds_a_token_however_its_link_is_written(scene: Scene) -> None:
    url = playback(scene.student, scene.film)["hls"]
    token = urlsplit(url).path.split("/")[2]
    for path in (f"/play/{token}/master.m3u8", f"/play/{token}/none", f"/play//{token}/none", f"//play/{token}/none"):
        scene.fetch(f"{scene.toptank.cloud.url}{path}")
        scene.fetch(f"{scene.toptank.vps.url}{path}")
    log = scene.toptank.cloud.log.read_text() + scene.toptank.vps.log.read_text()
    assert "link refused" in log
    assert token not in log


def test_only_who_may_watch_gets_links(scene: Scene) -> None:
    path = f"/videos/{scene.film}/playback"
    refused(nobody(scene.toptank).cloud.post(path), 401, "not_authenticated")
    refused(make_student(scene.toptank).cloud.post(path), 403, "key_required")
    assert playback(scene.course.teacher, scene.film)["hls"]


def test_a_film_that_is_not_processed_yet_plays_as_it_was_uploaded(scene: Scene, worker: Worker, clips: Clips) -> None:
    teacher = scene.course.teacher
    course = draft_course(scene.toptank, teacher)
    worker.stop()
    try:
        video_id = done(teacher.upload(course.lesson_id, clips.film), 201)["id"]
        began = playback(teacher, video_id)
        assert (began["hls"], began["poster"], began["renditions"]) == (None, None, [])
        (single,) = began["mp4"]
        assert (single["name"], single["media_type"]) == ("original", "video/mp4")
        assert scene.fetch(single["url"]).content == clips.film
    finally:
        worker.start()
    eventually(lambda: done(teacher.cloud.get(f"/videos/{video_id}"))["status"] == "ready", PROCESSED_WITHIN_S)
    assert scene.fetch(single["url"]).content == clips.film  # whoever has begun with it goes on
    later = playback(teacher, video_id)
    assert [made["name"] for made in later["mp4"]] == ["sd"]
    refused(scene.fetch(urljoin(later["hls"], "original")), 404, "link_not_found")


def test_a_third_playback_ends_the_oldest_which_is_told(scene: Scene) -> None:
    student = make_student(scene.toptank)
    enroll(student, scene.course)
    first, second, third = (playback(student, scene.film)["hls"] for _ in range(3))
    refused(scene.fetch(first), 410, "playback_moved")
    assert [scene.fetch(url).status_code for url in (second, third)] == [200, 200]


def test_links_hold_over_a_restart_and_those_that_moved_stay_so(scene: Scene) -> None:
    student = make_student(scene.toptank)
    enroll(student, scene.course)
    first, second, third = (playback(student, scene.film)["hls"] for _ in range(3))
    scene.toptank.cloud.kill()
    scene.toptank.cloud.start()
    refused(scene.fetch(first), 410, "playback_moved")
    assert [scene.fetch(url).status_code for url in (second, third)] == [200, 200]


def test_signing_out_ends_the_links_too(scene: Scene) -> None:
    student = make_student(scene.toptank)
    enroll(student, scene.course)
    url = playback(student, scene.film)["hls"]
    assert scene.fetch(url).status_code == 200
    done(student.vps.delete("/auth/sessions"), 204)
    eventually(lambda: scene.fetch(url).status_code == 410, within_s=BOUND_S)
    refused(scene.fetch(url), 410, "playback_expired")


def test_deleting_the_video_ends_its_links_for_everybody(scene: Scene, clips: Clips) -> None:
    teacher = scene.course.teacher
    course, film = published_course(scene.toptank, teacher, clips.film)
    student = make_student(scene.toptank)
    enroll(student, course)
    (link,) = playback(student, film)["mp4"]
    assert scene.fetch(link["url"]).status_code == 200
    done(teacher.cloud.delete(f"/videos/{film}"), 204)
    refused(scene.fetch(link["url"]), 404, "video_not_found")
