"""What a node leaves to an edge before it, and what it sends itself all the same."""

import os
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from cloud_service.playback.conditions import Validators
from cloud_service.playback.edge import EDGE_BYTES, Edge, is_plain
from cloud_service.videos.models import StoredVideo
from shared.problems import InternalError
from tests.cloud.running import FILM, RunningNode, a_video, store
from tests.cloud.things import USER

pytestmark = [pytest.mark.anyio, pytest.mark.settings(edge_sends=True)]

MODIFIED = 1_700_000_000
ETAG = f'"{MODIFIED:x}-{len(FILM):x}"'
DATE = formatdate(MODIFIED, usegmt=True)


@pytest.fixture
async def video(running: RunningNode) -> StoredVideo:
    """Written at MODIFIED."""
    assert running.node
    await store(running.node, video := a_video())
    os.utime(running.node.store.path(video), (MODIFIED, MODIFIED))
    return video


async def watch(running: RunningNode, video: StoredVideo, method: str = "GET", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await running.send(method, f"/videos/{video.id}/stream", USER, headers=named)


def is_left_to_edge(answer: httpx.Response) -> bool:
    return "x-accel-redirect" in answer.headers


async def test_the_edge_is_told_the_place_of_the_file_and_its_headers(running: RunningNode, video: StoredVideo) -> None:
    answer = await watch(running, video, X_Request_ID="of-this-very-request")
    assert (answer.status_code, answer.content) == (200, b"")
    assert dict(answer.headers) == {
        "x-accel-redirect": f"/media/videos/{video.owner_id}/{video.id}/original",
        "content-type": "video/mp4",
        "content-length": "0",
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "x-request-id": "of-this-very-request",
        "vary": "Origin",
        "etag": ETAG,
        "last-modified": DATE,
    }


async def test_links_are_left_to_the_edge_too(running: RunningNode, video: StoredVideo) -> None:
    began = await running.send("POST", f"/videos/{video.id}/playback", USER)
    link = urlsplit(began.json()["mp4"][0]["url"]).path
    answer = await running.get(link)
    assert answer.headers["x-accel-redirect"] == f"/media/videos/{video.owner_id}/{video.id}/original"
    assert (answer.headers["content-type"], answer.content) == ("video/mp4", b"")


async def test_posters_are_left_to_the_edge_for_everybody_to_keep_a_while(
    running: RunningNode, video: StoredVideo
) -> None:
    assert running.node
    (running.node.store.folder(video) / "poster.jpg").write_bytes(b"picture")
    answer = await running.get(f"/posters/{video.id}", headers={"Authorization": ""})
    assert answer.headers["x-accel-redirect"] == f"/media/videos/{video.owner_id}/{video.id}/poster.jpg"
    assert (answer.headers["content-type"], answer.content) == ("image/jpeg", b"")
    assert answer.headers["cache-control"] == "public, max-age=60"


@pytest.mark.parametrize(
    "headers",
    [
        {"Range": "bytes=1-3"},
        {"Range": "bytes=1-"},
        {"Range": "bytes=-2"},
        {"Range": "bytes=1-3", "If_Range": ETAG},
        {"Range": "bytes=1-3", "If_Range": DATE},
        {"If_Range": '"other"'},
        {"If_None_Match": '"other"'},
        {"If_Match": ETAG},
    ],
)
async def test_one_plain_range_and_the_whole_are_left_to_the_edge(
    running: RunningNode, video: StoredVideo, headers: dict[str, str]
) -> None:
    answer = await watch(running, video, **headers)
    assert (answer.status_code, answer.content) == (200, b"")
    assert is_left_to_edge(answer)
    assert "content-range" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "status", "content"),
    [
        ({"Range": "bytes=1-2, 4-"}, 206, None),
        ({"Range": "Bytes=1-2"}, 206, FILM[1:3]),
        ({"Range": "bytes= 1-2"}, 206, FILM[1:3]),
        ({"Range": f"bytes=1-{'9' * 40}"}, 206, FILM[1:]),
        ({"Range": "items=1-2"}, 200, FILM),
        ({"Range": "bytes=1-2", "If_Range": '"other"'}, 200, FILM),
        ({"Range": "bytes=1-2", "If_Range": DATE.replace(",", ", ")}, 206, FILM[1:3]),
        ({"Range": "bytes=99-"}, 416, None),
        ({"Range": "bytes=x"}, 416, None),
        ({"If_None_Match": ETAG}, 304, b""),
        ({"If_Modified_Since": DATE}, 304, b""),
        ({"If_Match": '"other"'}, 412, None),
    ],
)
async def test_what_servers_may_read_in_different_ways_the_node_answers_itself(
    running: RunningNode, video: StoredVideo, headers: dict[str, str], status: int, content: bytes | None
) -> None:
    answer = await watch(running, video, **headers)
    assert answer.status_code == status
    assert not is_left_to_edge(answer)
    assert content is None or answer.content == content


@pytest.mark.parametrize("twice", [b"range", b"if-range"])
def test_a_header_that_is_there_twice_is_not_left_to_whoever_reads_the_other(twice: bytes) -> None:
    now = Validators(ETAG.encode(), DATE.encode(), MODIFIED)
    once = [(b"range", b"bytes=0-0"), (b"if-range", ETAG.encode())]
    other = {b"range": b"bytes=0-", b"if-range": b'"other"'}[twice]
    assert is_plain(once, now, is_part=True)
    assert not is_plain([*once, (twice, other)], now, is_part=True)
    assert not is_plain([(twice, other), *once], now, is_part=True)


async def test_head_is_answered_without_the_edge(running: RunningNode, video: StoredVideo) -> None:
    answer = await watch(running, video, "HEAD")
    assert (answer.status_code, answer.headers["content-length"]) == (200, str(len(FILM)))
    assert not is_left_to_edge(answer)


async def test_a_long_answer_which_may_have_to_be_ended_is_the_nodes_own(
    running: RunningNode, video: StoredVideo
) -> None:
    assert running.node
    os.truncate(running.node.store.path(video), EDGE_BYTES + 2)
    assert not is_left_to_edge(await watch(running, video, Range=f"bytes=1-{EDGE_BYTES + 1}"))
    assert is_left_to_edge(await watch(running, video, Range=f"bytes=2-{EDGE_BYTES + 1}"))
    assert not is_left_to_edge(await watch(running, video))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "/data/mediate/x", "/data/media", "/data/media/../node.sqlite3", "data/media/x", ""]
)
def test_no_name_outside_of_the_media_folder_is_told_to_the_edge(path: str) -> None:
    with pytest.raises(InternalError):
        Edge(Path("/data/media")).address_of(path)


def test_the_edge_is_told_a_name_as_urls_have_it() -> None:
    assert Edge(Path("/data/my media")).address_of("/data/my media/a/b c%d?é") == b"/media/a/b%20c%25d%3F%C3%A9"
