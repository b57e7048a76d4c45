"""`toptank reprocess`: an operator has videos tried again that could not be processed."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cloud_service.processing import queue
from cloud_service.processing.results import Results
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import ROW
from tests.clips import Clips
from tests.cloud.working import Desk

pytestmark = pytest.mark.anyio

REASON = "The video could not be converted."


@pytest.fixture
async def desk(tmp_path: Path, anyio_backend: str) -> AsyncIterator[Desk]:
    async with Desk.made(tmp_path) as desk:
        yield desk


async def failed(desk: Desk, number: int, film: bytes = b"film") -> StoredVideo:
    video = await desk.add(film, number)
    async with desk.database.transaction() as transaction:
        job = await queue.take(transaction, 60)
    assert job
    await Results(lambda: desk.database.transaction(durable=True), desk.store, job).fail(queue.Standing(), REASON)
    return video


def reprocess(desk: Desk, *arguments: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-m", "shared.cli", "reprocess", *arguments],
        env=os.environ | {"TOPTANK_DATA_DIR": str(desk.settings.data_dir), "TOPTANK_ENVIRONMENT": "local"},
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


async def test_a_video_that_failed_is_tried_again_and_gets_ready(desk: Desk, clips: Clips) -> None:
    video = await failed(desk, 1, clips.film)
    assert (await desk.row(video)).status == "error"
    assert reprocess(desk, video.id) == (0, f"{video.id} is processed again\n")
    again = await desk.row(video)
    assert (again.status, again.reason) == ("processing", "")
    assert again.from_json((desk.store.folder(video) / ROW).read_bytes()) == again
    async with desk.worker():
        assert (await desk.ended(video)).status == "ready"
    assert [about["status"] for about in await desk.told()] == ["error", "processing", "ready"]


async def test_all_that_failed_are_tried_again_and_no_others(desk: Desk) -> None:
    videos = [await failed(desk, number) for number in (1, 2)]
    refused = await desk.add(b"film", 3, status="error", reason="There is no room left in your quota.")
    ready = await desk.add(b"film", 4, status="ready")
    async with desk.database.transaction() as transaction:
        await transaction.execute("DELETE FROM jobs")
    code, said = reprocess(desk, "--failed")
    assert (code, len(said.splitlines())) == (0, 2)
    assert {job["video_id"] for job in await desk.jobs()} == {video.id for video in videos}
    assert [(await desk.row(video)).status for video in (refused, ready)] == ["error", "ready"]


async def test_a_video_that_waits_after_failed_tries_begins_from_the_first(desk: Desk) -> None:
    video = await desk.add(b"film")
    async with desk.database.transaction() as transaction:
        await transaction.execute("UPDATE jobs SET attempts = 3, not_before = 1e12")
    assert reprocess(desk, video.id)[0] == 0
    (job,) = await desk.jobs()
    assert (job["attempts"], job["not_before"]) == (0, 0)


async def test_it_says_what_it_cannot_do(desk: Desk, tmp_path: Path) -> None:
    nobody = "00000000-0000-0000-0000-000000000009"
    assert reprocess(desk, nobody) == (0, f"{nobody} is not here\n")
    assert reprocess(desk, "--failed") == (0, "no video has failed\n")
    assert reprocess(desk)[0] == 2
    assert reprocess(desk, "all")[0] == 2
    (desk.settings.folder / "node.sqlite3").rename(tmp_path / "elsewhere")
    code, said = reprocess(desk, "--failed")
    assert (code, "unable to open database file" in said) == (1, True)
