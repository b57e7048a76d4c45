"""tus-js-client 4.3.1, as browsers and apps use it, over a line that is slow, is cut, and whose node dies."""

import hashlib
import json
import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.both.people import Person, done, draft_course
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips, padded
from tests.faults.link import Link
from tests.tus.node import needs_node, start

pytestmark = needs_node

WITHIN_S = 60
SIZE = 6 * 2**20
SLOW_S = 0.03
"""For every 64 KiB: about a second for all of it."""


class Client:
    """One process of it, until the block is left."""

    def __init__(self, **options: Any) -> None:
        self._process = start("client.mjs", json.dumps(options))
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self._process.stdout or ():
            self._told.put(json.loads(line))

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def tell(self, word: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()

    def until(self, *events: str) -> dict[str, Any]:
        """The first of these."""
        while True:
            told = self._told.get(timeout=WITHIN_S)
            assert told["event"] in events or told["event"] != "error", told
            if told["event"] in events:
                return told


@pytest.fixture(scope="module")
def film(clips: Clips) -> bytes:
    return padded(clips.film, SIZE)


@pytest.fixture(scope="module")
def file(film: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    path.write_bytes(film)
    return path


@pytest.fixture
def link(toptank: TopTank) -> Iterator[Link]:
    link = Link(toptank.cloud.port)
    link.delay(SLOW_S, "to_vps")
    yield link
    link.close()


@pytest.fixture
def options(link: Link, student: Person, file: Path) -> dict[str, Any]:
    return {
        "endpoint": f"{link.url}/uploads",
        "file": str(file),
        "token": student.token,
        "metadata": {"kind": "practice", "title": "سماعي", "filename": "film.mp4", "filetype": "video/mp4"},
    }


def wait_for(toptank: TopTank, upload_id: str, size: int) -> None:
    """So many bytes on the node's disk."""
    part = toptank.cloud.folder / "media" / "parts" / upload_id
    eventually(lambda: part.stat().st_size >= size, WITHIN_S)


def id_of(told: dict[str, Any]) -> str:
    return str(told["url"].rpartition("/")[2])


def is_stored(student: Person, upload_id: str, film: bytes) -> None:
    shown = done(student.cloud.get(f"/videos/{upload_id}"))
    assert (shown["title"], shown["sha256"]) == ("سماعي", hashlib.sha256(film).hexdigest())


def test_it_pauses_and_resumes(toptank: TopTank, student: Person, film: bytes, options: dict[str, Any]) -> None:
    with Client(**options) as client:
        upload_id = id_of(client.until("url"))
        for share in (1, 3):
            wait_for(toptank, upload_id, share * 2**20)
            client.tell("pause")
            client.until("paused")
            assert toptank.node_sql("SELECT id FROM videos WHERE id = ?", upload_id) == []
            client.tell("resume")
        client.until("success")
    is_stored(student, upload_id, film)


@pytest.mark.parametrize("chunk", [None, 700_000], ids=["one-request", "chunks"])
def test_it_gets_through_a_line_that_is_cut_again_and_again(
    toptank: TopTank, student: Person, film: bytes, options: dict[str, Any], link: Link, chunk: int | None
) -> None:
    with Client(**options, chunkSize=chunk) as client:
        upload_id = id_of(client.until("url"))
        for share in (1, 2, 4):
            wait_for(toptank, upload_id, share * 2**20)
            link.reset_connections()
            client.until("interrupted")
        client.until("success")
    is_stored(student, upload_id, film)


def test_it_outlives_the_node(toptank: TopTank, student: Person, film: bytes, options: dict[str, Any]) -> None:
    with Client(**options) as client:
        upload_id = id_of(client.until("url"))
        for share in (1, 3):
            wait_for(toptank, upload_id, share * 2**20)
            toptank.cloud.kill()
            client.until("interrupted")
            toptank.cloud.start()
        client.until("success")
    is_stored(student, upload_id, film)


def test_it_gets_through_when_the_node_dies_over_the_last_byte(
    toptank: TopTank, student: Person, film: bytes, options: dict[str, Any]
) -> None:
    """It takes a full offset for success: so there is none before there is a video."""
    toptank.cloud.stop()
    toptank.cloud.start_doomed("tus.completing")
    with Client(**options) as client:
        upload_id = id_of(client.until("url"))
        eventually(toptank.cloud.has_died, WITHIN_S)
        toptank.cloud.start()
        client.until("success")
    is_stored(student, upload_id, film)


def test_it_gets_through_when_the_node_hears_late_that_the_lesson_is_free(
    toptank: TopTank, teacher: Person, film: bytes, clips: Clips, options: dict[str, Any]
) -> None:
    lesson_id = draft_course(toptank, teacher).lesson_id
    with Client(**{**options, "token": teacher.token, "metadata": {"lesson_id": lesson_id}}) as client:
        upload_id = id_of(client.until("url"))
        wait_for(toptank, upload_id, 2**20)
        client.tell("pause")
        client.until("paused")
        old = done(teacher.upload(lesson_id, clips.film), 201)["id"]
        eventually(lambda: toptank.sql("SELECT 1 FROM videos WHERE id = %s", old))
        toptank.sql("UPDATE videos SET deleted_at = now() WHERE id = %s", old)
        client.tell("resume")
        assert client.until("interrupted")["status"] == 409
        done(teacher.cloud.delete(f"/videos/{old}"), 204)
        client.until("success")
    assert done(teacher.cloud.get(f"/videos/{upload_id}"))["sha256"] == hashlib.sha256(film).hexdigest()


def test_another_process_goes_on_where_the_first_one_died(
    toptank: TopTank, student: Person, film: bytes, options: dict[str, Any]
) -> None:
    with Client(**options) as client:
        url = client.until("url")["url"]
        wait_for(toptank, id_of({"url": url}), 2**20)
    with Client(**options, uploadUrl=url) as client:
        client.until("success")
    is_stored(student, id_of({"url": url}), film)


def test_it_ends_an_upload(toptank: TopTank, options: dict[str, Any]) -> None:
    with Client(**options) as client:
        upload_id = id_of(client.until("url"))
        wait_for(toptank, upload_id, 2**20)
        client.tell("terminate")
        client.until("terminated")
    assert toptank.node_sql("SELECT id FROM resumable_uploads WHERE id = ?", upload_id) == []


def test_it_hears_why_it_is_refused(options: dict[str, Any], tmp_path: Path) -> None:
    text = tmp_path / "film.mp4"
    text.write_bytes(b"no film at all " * 1000)
    with Client(**{**options, "file": str(text)}) as client:
        told = client.until("error")
    assert (told["status"], json.loads(told["body"])["code"]) == (415, "not_a_video")
