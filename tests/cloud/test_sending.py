"""How a node sends a file itself: what it says of it, what comes of a file that is not as its row says."""

import os
import resource
from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from cloud_service.playback.portions import FIRST_BYTES, LEAST_BYTES, MOST_BYTES, QUICK_S, Portion
from cloud_service.videos.models import Rendition, StoredVideo
from tests.cloud.running import FILM, RunningNode, a_video, store

pytestmark = pytest.mark.anyio

MODIFIED = 1_700_000_000
VALIDATORS = {"etag": f'"{MODIFIED:x}-{len(FILM):x}"', "last-modified": "Tue, 14 Nov 2023 22:13:20 GMT"}
SD = Rendition("sd", width=160, height=90, frame_rate=10.0, size=2, bitrate=1000, codecs="avc1.42c00a")


@pytest.fixture
async def video(running: RunningNode) -> StoredVideo:
    """Written at MODIFIED."""
    assert running.node
    await store(running.node, video := a_video())
    os.utime(running.node.store.path(video), (MODIFIED, MODIFIED))
    return video


async def watch(running: RunningNode, video: StoredVideo, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await running.get(f"/videos/{video.id}/stream", headers=named)


def parts_of(answer: httpx.Response) -> list[tuple[str, str, bytes]]:
    """Of a multipart answer: media type, range, and bytes, as a mail program would read it."""
    head = f"Content-Type: {answer.headers['content-type']}\r\n".encode()
    message = message_from_bytes(head + answer.content, policy=policy.HTTP)
    assert isinstance(message, EmailMessage)
    found = [part for part in message.iter_parts() if isinstance(part, EmailMessage)]
    return [(part.get_content_type(), str(part["Content-Range"]), part.get_payload(decode=True)) for part in found]  # type: ignore[misc]


async def test_everything_a_client_has_to_know_is_said(running: RunningNode, video: StoredVideo) -> None:
    answer = await watch(running, video, X_Request_ID="of-this-very-request")
    assert (answer.status_code, answer.content) == (200, FILM)
    assert dict(answer.headers) == VALIDATORS | {
        "accept-ranges": "bytes",
        "content-type": "video/mp4",
        "content-length": str(len(FILM)),
        "cache-control": "private, no-cache",
        "x-content-type-options": "nosniff",
        "x-request-id": "of-this-very-request",
        "vary": "Origin",
    }


async def test_several_ranges_come_as_parts_each_with_its_place(running: RunningNode, video: StoredVideo) -> None:
    answer = await watch(running, video, Range="bytes=3-,0-1")
    assert answer.status_code == 206
    assert answer.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert answer.headers["content-length"] == str(len(answer.content))
    assert "content-range" not in answer.headers
    assert parts_of(answer) == [("video/mp4", "bytes 3-4/5", FILM[3:]), ("video/mp4", "bytes 0-1/5", FILM[:2])]


async def test_of_several_ranges_one_that_exists_comes_by_itself(running: RunningNode, video: StoredVideo) -> None:
    answer = await watch(running, video, Range="bytes=99-,1-2")
    assert (answer.status_code, answer.content, answer.headers["content-range"]) == (206, FILM[1:3], "bytes 1-2/5")
    assert answer.headers["content-type"] == "video/mp4"


async def test_whoever_has_or_wants_another_state_of_the_file_is_told(running: RunningNode, video: StoredVideo) -> None:
    unchanged = await watch(running, video, If_None_Match=VALIDATORS["etag"], Range="bytes=0-1")
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    assert VALIDATORS.items() <= dict(unchanged.headers).items()
    changed = await watch(running, video, If_Match='"other"', Range="bytes=99-")
    assert (changed.status_code, changed.json()["code"]) == (412, "precondition_failed")


async def test_a_refusal_is_kept_by_nobody(running: RunningNode, video: StoredVideo) -> None:
    for answer in (await watch(running, video, Range="bytes=99-"), await watch(running, a_video(2))):
        assert answer.status_code in (416, 404)
        assert answer.headers["cache-control"] == "no-store"


async def test_a_file_is_what_it_is_now_whatever_its_row_says(running: RunningNode, video: StoredVideo) -> None:
    assert running.node
    Path(running.node.store.path(video)).write_bytes(FILM * 2)
    answer = await watch(running, video, Range="bytes=-1")
    assert (answer.content, answer.headers["content-range"]) == (FILM[-1:], "bytes 9-9/10")


@pytest.mark.parametrize("instead", ["nothing", "a folder", "a link"])
async def test_a_file_that_is_not_there_is_an_error_and_the_log_says_which(
    running: RunningNode, instead: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    assert running.node
    await store(running.node, video := replace(a_video(), plays=False, renditions=(SD,), status="ready"))
    place = running.node.store.folder(video) / "sd.mp4"
    (tmp_path / "of-others").write_bytes(FILM)
    if instead == "a folder":
        place.mkdir()
    elif instead == "a link":
        place.symlink_to(tmp_path / "of-others")
    answer = await watch(running, video)
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert str(place) in {getattr(record, "file", "") for record in caplog.records if record.levelname == "ERROR"}


async def test_a_node_that_can_open_no_more_files_says_when_to_come_again(
    running: RunningNode, video: StoredVideo
) -> None:
    assert (await watch(running, video)).status_code == 200
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        answer = await watch(running, video)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_open_files")
    assert int(answer.headers["Retry-After"]) > 0
    assert (await watch(running, video)).content == FILM


async def test_an_empty_file_is_an_answer_too(running: RunningNode, video: StoredVideo) -> None:
    assert running.node
    Path(running.node.store.path(video)).write_bytes(b"")
    answer = await watch(running, video)
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")


def test_who_takes_a_film_slowly_is_sent_little_at_a_time() -> None:
    portion = Portion()
    sizes = []
    for seconds in (0, QUICK_S, QUICK_S, QUICK_S, QUICK_S, 0):
        sizes.append(portion.size)
        portion.took(portion.size, seconds)
    assert sizes == [FIRST_BYTES, MOST_BYTES, MOST_BYTES // 4, MOST_BYTES // 16, LEAST_BYTES, LEAST_BYTES]
    assert portion.size == 4 * LEAST_BYTES
    portion.took(portion.size - 1, 0)  # as the head of a film that is nearly all in the system's buffers
    assert portion.size == 4 * LEAST_BYTES
