"""Captions of a video on a node: kept durably, listed, and gone with it; through crashes and lost databases."""

import asyncio
import os
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import IO, Any
from uuid import UUID, uuid4

import httpx
import pytest

from cloud_service.captions.actions import MOST_BYTES, MOST_LANGUAGES, put_captions
from cloud_service.captions.files import languages_of, path_of
from cloud_service.db import FILE
from cloud_service.node import Node
from cloud_service.settings import CloudSettings
from cloud_service.videos.actions import remove_video
from cloud_service.videos.models import StoredVideo
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, RunningNode, a_video, eventually, opened, running_node, store
from tests.cloud.things import TEACHER, USER

pytestmark = pytest.mark.anyio

SRT = "1\n00:00:01,000 --> 00:00:02,000\nأهلا\n".encode()
AS_VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:02.000\nأهلا\n".encode()
FILM_1, FILM_2 = a_video(1), a_video(2)


@pytest.fixture
async def running(settings: CloudSettings, made_up: MadeUpVps) -> AsyncIterator[RunningNode]:
    """With two videos; their teacher and somebody with a key may watch."""
    vps = Answering(made_up)
    vps.paid |= {TEACHER}
    async with running_node(settings) as running:
        await eventually(lambda: running.node and running.node.rights.position)
        await store(node_of(running), FILM_1, FILM_2)
        yield running


def node_of(running: RunningNode) -> Node:
    assert running.node
    return running.node


async def put(
    running: RunningNode, language: str, content: bytes = SRT, user: UUID = TEACHER, video: StoredVideo = FILM_1
) -> httpx.Response:
    return await running.send("PUT", f"/videos/{video.id}/captions/{language}", user, content=content)


async def listed(running: RunningNode, video: StoredVideo = FILM_1) -> list[str]:
    found: list[str] = (await running.get(f"/videos/{video.id}")).json()["captions"]
    return found


def on_disk(running: RunningNode, video: StoredVideo = FILM_1) -> list[str]:
    return sorted(path.name for path in node_of(running).store.folder(video).glob("captions*"))


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


# --- there and gone ---------------------------------------------------------------------------------------


async def test_captions_are_listed_and_read_as_webvtt(running: RunningNode) -> None:
    answer = await put(running, "AR-eg")
    assert (answer.status_code, answer.json()["language"], answer.json()["size"]) == (200, "ar-EG", len(AS_VTT))
    assert (await listed(running), await listed(running, FILM_2)) == (["ar-EG"], [])
    for spelled in ("ar-EG", "AR-eg"):
        read = await running.get(f"/videos/{FILM_1.id}/captions/{spelled}", USER)
        assert (read.content, read.headers["content-type"]) == (AS_VTT, "text/vtt; charset=utf-8")
        assert read.headers["x-content-type-options"] == "nosniff"
        assert read.headers["cache-control"] == "private, no-cache"
    again = await running.get(f"/videos/{FILM_1.id}/captions/ar-EG", headers={"If-None-Match": read.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


async def test_captions_are_replaced_and_taken_away(running: RunningNode) -> None:
    await put(running, "ar")
    await put(running, "en")
    changed = SRT.replace("أهلا".encode(), b"Welcome")
    await put(running, "ar", changed)
    assert b"Welcome" in (await running.get(f"/videos/{FILM_1.id}/captions/ar")).content
    assert (await running.delete(f"/videos/{FILM_1.id}/captions/AR", TEACHER)).status_code == 204
    assert (await listed(running), on_disk(running)) == (["en"], ["captions.en.vtt"])
    for method in ("GET", "DELETE"):
        gone = await running.send(method, f"/videos/{FILM_1.id}/captions/ar", TEACHER)
        assert refusal(gone) == (404, "captions_not_found")


async def test_captions_go_with_their_video(running: RunningNode) -> None:
    await put(running, "ar")
    node = node_of(running)
    await remove_video(node.catalogue, node.store, FILM_1)
    assert refusal(await running.get(f"/videos/{FILM_1.id}/captions/ar")) == (404, "video_not_found")
    assert refusal(await put(running, "ar")) == (404, "video_not_found")
    assert await node.database.fetch("SELECT * FROM captions") == []
    assert not node.store.folder(FILM_1).exists()


# --- whose ------------------------------------------------------------------------------------------------


async def test_only_the_owner_changes_captions_and_only_viewers_read_them(running: RunningNode) -> None:
    await put(running, "ar")
    stranger, path = uuid4(), f"/videos/{FILM_1.id}/captions/ar"
    for who in (USER, stranger):
        assert refusal(await put(running, "en", user=who)) == (404, "video_not_found")
        assert refusal(await running.delete(path, who)) == (404, "video_not_found")
    assert (await running.get(path, USER)).status_code == 200
    assert refusal(await running.get(path, stranger)) == (403, "key_required")
    assert on_disk(running) == ["captions.ar.vtt"]


async def test_a_lessons_file_has_no_captions(running: RunningNode) -> None:
    file = replace(a_video(3), kind="file", title="notes.pdf", status="ready")
    await store(node_of(running), file)
    assert refusal(await put(running, "ar", video=file)) == (404, "video_not_found")
    for path in ("", "/captions/ar", "/stream"):
        assert refusal(await running.get(f"/videos/{file.id}{path}")) == (404, "video_not_found")
    assert refusal(await running.delete(f"/videos/{file.id}", TEACHER)) == (404, "video_not_found")
    assert refusal(await running.get(f"/files/{FILM_1.id}")) == (404, "file_not_found")
    assert refusal(await running.delete(f"/files/{FILM_1.id}", TEACHER)) == (404, "file_not_found")


# --- refused ------------------------------------------------------------------------------------------------


async def test_what_cannot_be_shown_is_refused_and_leaves_what_was_there(running: RunningNode) -> None:
    await put(running, "ar")
    cases = [
        (b"", 422, "empty_upload"),
        (b"just some text", 415, "not_captions"),
        (SRT.decode().encode("cp1256"), 415, "not_captions"),
        (SRT.replace(b"02,000", b"01,000"), 422, "invalid_captions"),
        (SRT + b"a" * MOST_BYTES, 413, "upload_too_large"),
        (SRT + b"\n" * (MOST_BYTES - len(SRT)), 200, ""),
    ]
    for content, status, code in cases:
        answer = await put(running, "ar", content)
        assert (answer.status_code, answer.json().get("code", "")) == (status, code)
        assert (on_disk(running), await listed(running)) == (["captions.ar.vtt"], ["ar"])
        assert (await running.get(f"/videos/{FILM_1.id}/captions/ar")).content == AS_VTT


async def test_what_is_no_language_is_refused(running: RunningNode) -> None:
    for language in ("a", "ar_EG", "ar.vtt", "%2e%2e", "%00", "ar%0d%0a", "..%2far", "ar-" + "x" * 40):
        assert (await put(running, language)).status_code in (404, 422), language
        assert (await running.get(f"/videos/{FILM_1.id}/captions/{language}")).status_code == 404
    assert on_disk(running) == []


async def test_there_is_an_end_to_languages(running: RunningNode) -> None:
    for number in range(MOST_LANGUAGES):
        assert (await put(running, f"en-x-{number}")).status_code == 200
    assert refusal(await put(running, "ar")) == (409, "too_many_languages")
    assert (await put(running, "en-x-1")).status_code == 200
    assert len(on_disk(running)) == MOST_LANGUAGES


# --- in parallel --------------------------------------------------------------------------------------------


async def test_captions_do_not_wait_for_uploads_that_are_looked_into(running: RunningNode, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # that nobody writes to, and that takes for ever to open
    looking = [asyncio.ensure_future(node_of(running).probing.look_into(pipe, "", owner)) for owner in ("a", "b")]
    async with asyncio.timeout(10):
        assert (await put(running, "ar")).status_code == 200
    assert not any(one.done() for one in looking)
    for one in looking:
        one.cancel()
    await asyncio.wait(looking)


async def test_captions_that_are_given_up_while_they_are_written_leave_nothing(
    running: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, going_on, opened_at_once = threading.Event(), threading.Event(), Path.open

    def slow(path: Path, mode: str) -> IO[Any]:
        writing.set()
        going_on.wait(10)
        return opened_at_once(path, mode)

    monkeypatch.setattr(Path, "open", slow)
    putting = asyncio.ensure_future(put_captions(node_of(running), FILM_1, "ar", SRT))
    await asyncio.to_thread(writing.wait, 10)
    putting.cancel()
    asyncio.get_running_loop().call_later(0.1, going_on.set)
    await asyncio.wait([putting])
    assert putting.cancelled()
    await asyncio.sleep(0.2)
    assert on_disk(running) == []


# --- crashes ------------------------------------------------------------------------------------------------


async def test_a_lost_database_is_made_from_the_files(settings: CloudSettings) -> None:
    async with opened(settings) as node:
        await store(node, FILM_1, FILM_2)
        path_of(node.store, FILM_1, "zh-Hant").write_bytes(AS_VTT)
    for file in settings.folder.glob(f"{FILE}*"):
        file.unlink()
    async with opened(settings) as node:
        assert await languages_of(node.database, FILM_1.id) == ["zh-Hant"]
        assert await languages_of(node.database, FILM_2.id) == []


async def test_whatever_a_crash_left_half_done_is_finished_at_the_next_start(settings: CloudSettings) -> None:
    async with opened(settings) as node:
        await store(node, FILM_1)
        folder = node.store.folder(FILM_1)
        path_of(node.store, FILM_1, "ar").write_bytes(AS_VTT)  # moved, and not listed
        (folder / "captions.en.vtt.0123456789abcdef.partial").write_bytes(AS_VTT[:20])  # half written
        for name in ("captions.no_language.vtt", "captions.vtt"):
            (folder / name).write_bytes(b"not ours")
    with closing(sqlite3.connect(settings.folder / FILE)) as database, database:
        row = "INSERT INTO captions (video_id, language, size, changed_at) VALUES (?, ?, 5, 0)"
        database.execute(row, (FILM_1.id, "fr"))  # removed, and still listed
        database.execute(row, (FILM_2.id, "fr"))  # of a video that is not there
    async with opened(settings) as node:
        rows = [tuple(row) for row in await node.database.fetch("SELECT video_id, language, size FROM captions")]
        assert rows == [(FILM_1.id, "ar", len(AS_VTT))]
        assert not list(Path(folder).glob("*.partial"))
