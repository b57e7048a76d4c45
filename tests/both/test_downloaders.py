"""Programs that have nothing but a link: ffmpeg reads it as players without a page do, curl byte by byte."""

import hashlib
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cloud_service.processing.ffmpeg import program
from tests.both.edges import BEHIND_AN_EDGE, EDGES, edge_before
from tests.both.people import Person, done, enroll, make_student, make_teacher, published_course
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.clips import Clips

ENDS_WITHIN_S = 120
PIECES = 5
NOT_A_GOOD_STATUS = 22
"""What curl ends with when it is told to fail (-f) on 400 and above."""

needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")


@dataclass(frozen=True)
class Scene:
    toptank: TopTank
    film: str
    student: Person
    sd: Path
    """The rendition on the node's disk."""

    def links(self) -> dict[str, Any]:
        began: dict[str, Any] = done(self.student.cloud.post(f"/videos/{self.film}/playback"), 201)
        return began


@pytest.fixture(scope="module", params=["node", *EDGES])
def url(request: pytest.FixtureRequest, toptank: TopTank) -> Iterator[str]:
    """Where viewers are: at the node alone, or at what is before it."""
    if request.param == "node":
        yield toptank.cloud.url
        return
    with edge_before(toptank, request.param) as edge:
        toptank.cloud.restart(**BEHIND_AN_EDGE, TOPTANK_CLOUD_URL=edge.cloud)
        yield edge.cloud


@pytest.fixture(scope="module")
def at_the_node(toptank: TopTank, clips: Clips) -> Scene:
    teacher, student = make_teacher(toptank), make_student(toptank)
    toptank.cloud.worker.start()
    course, film = published_course(toptank, teacher, clips.etude)
    eventually(lambda: done(teacher.cloud.get(f"/videos/{film}"))["status"] == "ready", PROCESSED_WITHIN_S)
    assert toptank.cloud.worker.stop() == 0
    enroll(student, course)
    return Scene(toptank, film, student, toptank.cloud.folder / "media" / "videos" / teacher.id / film / "sd.mp4")


@pytest.fixture
def scene(at_the_node: Scene, url: str) -> Scene:
    assert at_the_node.links()["hls"].startswith(url)
    return at_the_node


def ran(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=ENDS_WITHIN_S)


def read_by_ffmpeg(source: str | Path, *what: str) -> str:
    """What it says of the packets that it read, a line and a hash a stream."""
    read = ran(program(), "-v", "error", "-i", source, *what, "-c", "copy", "-f", "streamhash", "-")
    assert (read.returncode, read.stderr) == (0, "")
    return read.stdout


def curl(*told: str | Path) -> str:
    got = ran("curl", "--silent", "--show-error", "--fail", *told)
    assert got.returncode == 0, got.stderr
    return got.stdout


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_ffmpeg_reads_the_playlist_as_the_film_lies_on_the_disk(scene: Scene) -> None:
    read = read_by_ffmpeg(scene.links()["hls"])
    assert read == read_by_ffmpeg(scene.sd)
    assert read.count("SHA256=") == 2


def test_ffmpeg_seeks_in_the_playlist_and_in_the_file(scene: Scene) -> None:
    began = scene.links()
    for link in (began["hls"], began["mp4"][0]["url"]):
        read = ran(program(), "-v", "error", "-ss", "18", "-i", link, "-map", "0:v:0", "-f", "framemd5", "-")
        assert (read.returncode, read.stderr) == (0, "")
        frames = [line for line in read.stdout.splitlines() if not line.startswith("#")]
        assert len(frames) == pytest.approx(6 * 10, abs=2)


@needs_curl
def test_what_curl_gets_in_pieces_is_the_file(scene: Scene, tmp_path: Path) -> None:
    link, size = scene.links()["mp4"][0]["url"], scene.sd.stat().st_size
    step = size // PIECES
    ranges = [f"{n * step}-{(n + 1) * step - 1}" for n in range(PIECES - 1)]
    with (tmp_path / "whole").open("wb") as whole:
        for asked in [*ranges, f"-{size - (PIECES - 1) * step}"]:
            curl("--range", asked, "--output", tmp_path / "piece", link)
            whole.write((tmp_path / "piece").read_bytes())
    assert sha256(tmp_path / "whole") == sha256(scene.sd)


@needs_curl
def test_curl_goes_on_with_what_it_has(scene: Scene, tmp_path: Path) -> None:
    link, part = scene.links()["mp4"][0]["url"], tmp_path / "part"
    part.write_bytes(scene.sd.read_bytes()[:50_000])
    assert curl("--continue-at", "-", "--output", part, "--write-out", "%{http_code}", link) == "206"
    assert sha256(part) == sha256(scene.sd)


@needs_curl
def test_curl_does_not_get_again_what_it_has(scene: Scene, tmp_path: Path) -> None:
    link, got, etag = scene.links()["mp4"][0]["url"], tmp_path / "got", tmp_path / "etag"
    first = ("--remote-time", "--etag-save", etag, "--output", got, "--write-out", "%{http_code}", link)
    assert curl(*first) == "200"
    assert sha256(got) == sha256(scene.sd)
    for known in (("--etag-compare", etag), ("--time-cond", got)):
        again = curl(*known, "--output", tmp_path / "again", "--write-out", "%{http_code} %{size_download}", link)
        assert again == "304 0"


@needs_curl
def test_with_a_link_that_has_ended_neither_gets_anything(scene: Scene, tmp_path: Path) -> None:
    first, *_ = [scene.links() for _ in range(3)]
    assert ran("curl", "--silent", "--fail", "--output", tmp_path / "got", first["mp4"][0]["url"]).returncode == (
        NOT_A_GOOD_STATUS
    )
    assert not (tmp_path / "got").exists()
    read = ran(program(), "-v", "error", "-i", first["hls"], "-f", "null", "-")
    assert read.returncode != 0
    assert "Server returned 4XX" in read.stderr
