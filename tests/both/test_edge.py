"""Playing through the edge: it sends the bytes, and the node says which, to whom, and for how long."""

import re
import resource
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import pytest

from cloud_service.processing.ffmpeg import program
from tests.both.edges import BEHIND_AN_EDGE, Edge
from tests.both.people import Course, Person, done, enroll, make_admin, make_student, published_course, refused
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.both.wire import Wire
from tests.clips import Clips, padded

SETTINGS = BEHIND_AN_EDGE
BOUND_S = 2.0
MIB = 2**20
LONG = 40 * MIB
CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nAllegro\n"
HOPS = {
    "connection",
    "content-length",
    "date",
    "server",
    "transfer-encoding",
    "accept-ranges",
    "x-accel-redirect",
    "via",
}
"""Headers of an answer that are between two neighbours, or that each server writes for itself."""


@dataclass(frozen=True)
class Scene:
    """A course whose film is ready, and a student with its key, as whom everything is asked of the edge."""

    toptank: TopTank
    edge: Edge
    course: Course
    film: str
    student: Person

    @property
    def folder(self) -> Path:
        return self.toptank.cloud.folder / "media" / "videos" / self.course.teacher.id / self.film

    def playback(self) -> dict[str, Any]:
        began: dict[str, Any] = done(self.edge.person(self.student).cloud.post(f"/videos/{self.film}/playback"), 201)
        return began

    def fetch(self, url: str, **headers: str) -> httpx.Response:
        """As a player does, which has nothing but the link."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.toptank.http.get(self.edge.at(url), headers=named)


@pytest.fixture(scope="module")
def course(toptank: TopTank, teacher: Person, clips: Clips) -> Iterator[tuple[Course, str]]:
    course, film = published_course(toptank, teacher, clips.film)
    done(teacher.cloud.put(f"/videos/{film}/captions/it", content=CAPTIONS))
    toptank.cloud.worker.start()
    eventually(lambda: done(teacher.cloud.get(f"/videos/{film}"))["status"] == "ready", PROCESSED_WITHIN_S)
    yield course, film
    assert toptank.cloud.worker.stop() == 0


@pytest.fixture
def scene(toptank: TopTank, edge: Edge, course: tuple[Course, str]) -> Scene:
    student = make_student(toptank)
    enroll(student, course[0])
    return Scene(toptank, edge, *course, student)


@pytest.fixture(scope="module")
def long_film(toptank: TopTank, teacher: Person, clips: Clips) -> tuple[Course, str]:
    """So long, as it was uploaded, that the node sends it itself, and can end it at any time."""
    course, film = published_course(toptank, teacher, padded(clips.film, LONG))
    done(teacher.vps.patch(f"/courses/{course.id}", json={"downloads_allowed": True}))
    return course, film


def files_of(began: dict[str, Any]) -> dict[str, str]:
    """Links by the names of what they lead to."""
    base = began["hls"].removesuffix("master.m3u8")
    names = ("master.m3u8", "sd.m3u8", "sd.mp4", "poster.jpg", "storyboard.vtt", "storyboard.jpg")
    return {name: base + name for name in names} | {"captions.it.vtt": began["captions"][0]["url"]}


def test_what_every_link_leads_to_comes_byte_for_byte(scene: Scene) -> None:
    for name, url in files_of(scene.playback()).items():
        answer = scene.fetch(url)
        assert (answer.status_code, answer.content) == (200, (scene.folder / name).read_bytes()), name


def test_the_node_leaves_the_bytes_to_the_edge_which_tells_nobody_where_they_are(scene: Scene) -> None:
    url = files_of(scene.playback())["sd.mp4"]
    told = scene.toptank.http.get(url)
    where = f"/media/videos/{scene.course.teacher.id}/{scene.film}/sd.mp4"
    assert (told.status_code, told.content, told.headers["x-accel-redirect"]) == (200, b"", where)
    assert not [name for name in scene.fetch(url).headers if name.startswith("x-accel")]


def test_whatever_else_the_node_says_of_an_answer_arrives(scene: Scene) -> None:
    asked = {"X-Request-ID": "asked-through-the-edge", "Origin": scene.toptank.vps.url}
    for name, url in files_of(scene.playback()).items():
        said = {k: v for k, v in scene.toptank.http.get(url, headers=asked).headers.items() if k not in HOPS}
        assert {"cache-control", "content-type", "etag", "last-modified", "x-content-type-options"} <= said.keys()
        arrived = scene.fetch(url, **asked).headers
        assert {k: arrived.get(k) for k in said} == said, name


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-1099", 100, 1100),
        ("bytes=5000-", 5000, None),
        ("bytes=-700", -700, None),
        ("bytes=0-99999999", 0, None),
    ],
)
def test_a_range_is_answered_with_just_it(scene: Scene, asked: str, start: int, stop: int | None) -> None:
    film = (scene.folder / "sd.mp4").read_bytes()
    answer = scene.fetch(files_of(scene.playback())["sd.mp4"], Range=asked)
    assert (answer.status_code, answer.content) == (206, film[start:stop])
    first = start if start >= 0 else len(film) + start
    assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.content) - 1}/{len(film)}"


def test_a_range_beyond_the_end_is_refused_with_the_size(scene: Scene) -> None:
    answer = scene.fetch(files_of(scene.playback())["sd.mp4"], Range="bytes=99999999-")
    size = (scene.folder / "sd.mp4").stat().st_size
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")


def test_conditions_hold_with_what_the_answer_told(scene: Scene) -> None:
    url = files_of(scene.playback())["sd.mp4"]
    told = scene.fetch(url).headers
    for unchanged in ({"If_None_Match": told["etag"]}, {"If_Modified_Since": told["last-modified"]}):
        answer = scene.fetch(url, **unchanged)
        assert (answer.status_code, answer.content) == (304, b""), unchanged
    later = formatdate(scene.folder.joinpath("sd.mp4").stat().st_mtime + 3600, usegmt=True)
    assert scene.fetch(url, If_Modified_Since=later).status_code == 304
    for changed in ({"If_None_Match": '"another"'}, {"If_Modified_Since": formatdate(0, usegmt=True)}):
        assert scene.fetch(url, **changed).status_code == 200
    for holds in (told["etag"], told["last-modified"]):
        assert scene.fetch(url, Range="bytes=0-9", If_Range=holds).status_code == 206
    for holds_not in ('"another"', formatdate(0, usegmt=True)):
        assert scene.fetch(url, Range="bytes=0-9", If_Range=holds_not).status_code == 200


def test_head_tells_everything_but_the_bytes(scene: Scene) -> None:
    url = scene.edge.at(files_of(scene.playback())["sd.mp4"])
    head, whole = scene.toptank.http.head(url), scene.toptank.http.get(url)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "last-modified", "cache-control"):
        assert head.headers[name] == whole.headers[name]


def test_one_connection_serves_many_answers(scene: Scene) -> None:
    url = files_of(scene.playback())["sd.mp4"]
    film = (scene.folder / "sd.mp4").read_bytes()
    with Wire(scene.edge.cloud) as wire:
        for start in range(10):
            answer = wire.request("GET", urlsplit(url).path, {"Range": f"bytes={start}-{start + 999}"}).answer()
            assert (answer.status, answer.body) == (206, film[start : start + 1000])
            assert wire.request("GET", "/play/none/sd.mp4", {}).answer().status == 404


def test_ffmpeg_plays_the_playlists_to_their_end(scene: Scene) -> None:
    url = scene.edge.at(scene.playback()["hls"])
    played = subprocess.run(
        [program(), "-v", "error", "-i", url, "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (played.returncode, played.stderr) == (0, "")


def test_when_the_right_has_ended_the_next_request_is_refused(scene: Scene) -> None:
    url = files_of(scene.playback())["sd.mp4"]
    assert scene.fetch(url).status_code == 200
    void_key(scene.toptank, scene.student, scene.course)
    eventually(lambda: scene.fetch(url).status_code == 403, within_s=BOUND_S)
    refused(scene.fetch(url), 403, "key_required")


def test_when_the_right_has_ended_a_long_answer_ends_too(
    toptank: TopTank, edge: Edge, long_film: tuple[Course, str]
) -> None:
    course, film = long_film
    path = f"/videos/{film}/stream?rendition=original"
    student, other = make_student(toptank), edge.person(make_student(toptank))
    for one in (student, other):
        enroll(one, course)
    viewer = edge.person(student)
    with Wire(edge.cloud) as wire:
        answer = wire.request("GET", path, viewer.cloud.headers).headers()
        assert (answer.status, answer.getheader("content-length")) == (200, str(LONG))
        answer.read(MIB)
        void_key(toptank, student, course)
        eventually(lambda: viewer.cloud.get(path, headers={"Range": "bytes=0-0"}).status_code == 403, BOUND_S)
        rest = sum(iter(lambda: len(answer.read(MIB)), 0))
        assert rest < LONG - MIB
    assert len(other.cloud.get(path).content) == LONG


def void_key(toptank: TopTank, student: Person, course: Course) -> None:
    key = done(student.vps.get(f"/courses/{course.id}/key"))["key"]
    done(make_admin(toptank).vps.post(f"/admin/keys/{key['id']}/void"))


def test_no_log_of_the_edge_holds_a_token(scene: Scene) -> None:
    began = scene.playback()
    token = urlsplit(began["hls"]).path.split("/")[2]
    for path in (f"/play/{token}/sd.mp4", f"/play/{token}/none", f"//play/{token}/none", f"/x/../play/{token}/none"):
        with Wire(scene.edge.cloud) as wire:
            wire.request("GET", path, {"Referer": f"http://x/play/{token}/"}).answer()
    scene.toptank.cloud.stop()
    try:
        refused(scene.fetch(urljoin(began["hls"], "sd.mp4")), 503, "unavailable")
    finally:
        scene.toptank.cloud.start()
    assert not re.search(re.escape(token), scene.edge.log())


def test_no_log_of_an_edge_that_is_out_of_files_holds_a_token_and_clients_get_a_problem(scene: Scene) -> None:
    url = files_of(scene.playback())["sd.mp4"]
    path, token = urlsplit(url).path, urlsplit(url).path.split("/")[2]
    for before in ("/health/edge", path):  # with none left to ask the node, and with a connection to it but no file
        with Wire(scene.edge.cloud) as wire:
            assert wire.request("GET", before, {}).answer().status in (200, 204)
            allowed = resource.prlimit(scene.edge.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(scene.edge.pid, resource.RLIMIT_NOFILE, (3, allowed[1]))
            try:
                answer = wire.request("GET", path, {}).answer()
            finally:
                resource.prlimit(scene.edge.pid, resource.RLIMIT_NOFILE, allowed)
        assert (answer.status != 200, answer.headers["content-type"]) == (True, "application/problem+json"), before
    assert token not in scene.edge.log()
