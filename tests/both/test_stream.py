"""`GET videos/{id}/stream` as HTTP: ranges, conditions, HEAD, connections."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email.utils import formatdate
from uuid import uuid4

import httpx
import pytest

from tests.both.people import Person, enroll, make_student, published_course, refused
from tests.both.toptank import TopTank
from tests.both.wire import Wire
from tests.clips import Clips


@dataclass(frozen=True)
class Watched:
    """A video of several blocks, and somebody who may watch it."""

    id: str
    content: bytes
    viewer: Person

    def get(self, **headers: str) -> httpx.Response:
        return self.viewer.watch(self.id, **headers)

    @property
    def size(self) -> int:
        return len(self.content)


@pytest.fixture(scope="module")
def video(toptank: TopTank, teacher: Person, clips: Clips) -> Watched:
    course, video_id = published_course(toptank, teacher, clips.large)
    viewer = make_student(toptank)
    enroll(viewer, course)
    return Watched(video_id, clips.large, viewer)


def test_without_a_range_the_whole_video_comes(video: Watched) -> None:
    response = video.get()
    assert (response.status_code, response.content) == (200, video.content)
    assert response.headers["content-type"] == "video/mp4"
    assert response.headers["accept-ranges"] == "bytes"
    assert response.headers["cache-control"] == "private, no-cache"
    assert "content-range" not in response.headers


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-1023", 0, 1024),
        ("bytes=1000-2000", 1000, 2001),
        ("bytes=1048575-1048576", 2**20 - 1, 2**20 + 1),
        ("bytes=100-3000000", 100, 3_000_001),
        ("bytes=3000000-", 3_000_000, None),
        ("bytes=-500", -500, None),
        ("bytes=-99999999", 0, None),
        ("bytes=0-99999999", 0, None),
        ("BYTES=5-9", 5, 10),
    ],
)
def test_a_range_is_answered_with_just_it(video: Watched, asked: str, start: int, stop: int | None) -> None:
    response = video.get(Range=asked)
    expected = video.content[start:stop]
    first = start if start >= 0 else video.size + start
    assert response.status_code == 206
    assert response.headers["content-range"] == f"bytes {first}-{first + len(expected) - 1}/{video.size}"
    assert response.headers["content-length"] == str(len(expected))
    assert response.content == expected


@pytest.mark.parametrize("beyond", ["bytes=99999999-", "bytes=99999999-100000000", "bytes=-0"])
def test_a_range_beyond_the_end_is_refused_with_the_size(video: Watched, beyond: str) -> None:
    response = video.get(Range=beyond)
    refused(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == f"bytes */{video.size}"


def test_the_last_byte_is_there_and_the_one_after_it_is_not(video: Watched) -> None:
    assert video.get(Range=f"bytes={video.size - 1}-").content == video.content[-1:]
    refused(video.get(Range=f"bytes={video.size}-"), 416, "range_not_satisfiable")


@pytest.mark.parametrize("ignored", ["items=0-5", "0-5", "bytes", "bytes=", "bytes=0-,0-"])
def test_other_units_and_more_than_there_is_are_answered_with_the_whole(video: Watched, ignored: str) -> None:
    response = video.get(Range=ignored)
    assert (response.status_code, len(response.content)) == (200, video.size)


@pytest.mark.parametrize("nonsense", ["bytes=5-2", "bytes=-", "bytes=a-b", "bytes=--5", "bytes=1-2-3", "bytes=0-1,"])
def test_what_is_no_range_is_refused_as_one_that_does_not_exist(video: Watched, nonsense: str) -> None:
    response = video.get(Range=nonsense)
    refused(response, 416, "range_not_satisfiable")
    assert response.headers["content-range"] == f"bytes */{video.size}"


def test_a_range_holds_while_if_range_names_this_video(video: Watched) -> None:
    etag = video.get(Range="bytes=0-0").headers["etag"]
    assert video.get(Range="bytes=0-9", If_Range=etag).status_code == 206
    assert video.get(Range="bytes=0-9", If_Range='"another"').status_code == 200
    assert video.get(Range="bytes=0-9", If_Range=f"W/{etag}").status_code == 200


def test_if_range_takes_the_date_it_was_told(video: Watched) -> None:
    modified = video.get(Range="bytes=0-0").headers["last-modified"]
    assert video.get(Range="bytes=0-9", If_Range=modified).status_code == 206
    assert video.get(Range="bytes=0-9", If_Range=formatdate(0, usegmt=True)).status_code == 200


def test_a_client_that_has_the_video_is_told_so_without_its_bytes(video: Watched) -> None:
    etag = video.get(Range="bytes=0-0").headers["etag"]
    response = video.get(If_None_Match=f'"other", {etag}')
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", etag)
    assert video.get(If_None_Match='"other"').status_code == 200


def test_if_modified_since_holds(video: Watched) -> None:
    modified = video.get(Range="bytes=0-0").headers["last-modified"]
    assert video.get(If_Modified_Since=modified).status_code == 304
    assert video.get(If_Modified_Since=formatdate(0, usegmt=True)).status_code == 200


def test_head_tells_everything_but_the_bytes(toptank: TopTank, video: Watched) -> None:
    bearer = {"Authorization": f"Bearer {video.viewer.token}"}
    with Wire(toptank.cloud.url) as wire:
        wire.request("HEAD", f"/videos/{video.id}/stream", bearer)
        head = wire.answer("HEAD")
        assert (head.status, head.headers["Content-Length"], head.body) == (200, str(video.size), b"")
        wire.request("GET", f"/videos/{video.id}/stream", {**bearer, "Range": "bytes=0-3"})
        assert wire.answer().body == video.content[:4]  # not one byte of a body was in between


def test_head_of_a_range_is_the_head_of_the_whole(video: Watched) -> None:
    response = video.viewer.cloud.send("HEAD", f"/videos/{video.id}/stream", headers={"Range": "bytes=0-9"})
    assert (response.status_code, response.headers["content-length"]) == (200, str(video.size))


def test_one_connection_serves_many_requests(toptank: TopTank, video: Watched) -> None:
    headers = {"Authorization": f"Bearer {video.viewer.token}"}
    digest = hashlib.sha256()
    with Wire(toptank.cloud.url) as wire:
        for start in range(0, video.size, 700_000):
            ranged = {**headers, "Range": f"bytes={start}-{start + 699_999}"}
            digest.update(wire.request("GET", f"/videos/{video.id}/stream", ranged).answer().body)
            wire.request("GET", f"/videos/{video.id}/stream", {"Range": "bytes=0-0"})
            assert wire.answer().status == 401
    assert digest.hexdigest() == hashlib.sha256(video.content).hexdigest()


def test_the_second_request_asks_nobody(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    viewer = make_student(toptank)
    enroll(viewer, course)
    before = len(toptank.vps.requests("/internal/access"))
    for _ in range(3):
        assert viewer.watch(video_id).status_code == 200
    assert len(toptank.vps.requests("/internal/access")) == before + 1


def test_fifty_first_requests_of_one_viewer_ask_once(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    viewers = [make_student(toptank) for _ in range(2)]
    for viewer in viewers:
        enroll(viewer, course)
    before = len(toptank.vps.requests("/internal/access"))
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda number: viewers[number % 2].watch(video_id).status_code, range(50)))
    assert answers == [200] * 50
    assert len(toptank.vps.requests("/internal/access")) == before + 2


def test_what_is_not_there_is_not_found(video: Watched) -> None:
    refused(video.viewer.watch(str(uuid4())), 404, "video_not_found")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_stream_is_only_read(video: Watched, method: str) -> None:
    response = video.viewer.cloud.send(method, f"/videos/{video.id}/stream")
    refused(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../../../../etc/passwd",
        "%2e%2e",
        "%2e%2e%2f%2e%2e%2fnode.sqlite3",
        "..%2f..%2fscratch",
        "%252e%252e%252f",
        "..%5c..%5c",
        "%00",
        "1",
        "a" * 5000,
        "%ff%fe",
        "",
    ],
)
def test_no_name_leads_out_of_the_catalogue(toptank: TopTank, video: Watched, name: str) -> None:
    with Wire(toptank.cloud.url) as wire:
        wire.request("GET", f"/videos/{name}/stream", {"Authorization": f"Bearer {video.viewer.token}"})
        answer = wire.answer()
    assert answer.status == 404
    assert b"video_not_found" in answer.body or b"not_found" in answer.body
