"""Which videos' posters a node shows everybody: those that play in a published course's lesson."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from cloud_service.settings import CloudSettings
from shared.posters import POSTERS
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, RunningNode, a_video, eventually, running_node, store

pytestmark = pytest.mark.anyio

OTHER = str(uuid4())


@pytest.fixture
def answering(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, answering: Answering) -> AsyncIterator[RunningNode]:
    async with running_node(settings) as running:
        await eventually(lambda: running.node and running.node.rights.position)
        yield running


async def stored(running: RunningNode, **changes: Any) -> str:
    """A video with a poster on the disk."""
    assert running.node
    video = replace(a_video(), **changes)
    await store(running.node, video)
    (running.node.store.folder(video) / "poster.jpg").write_bytes(b"picture")
    return video.id


async def status(running: RunningNode, video: str) -> int:
    return (await running.get(f"/posters/{video}", headers={"Authorization": ""})).status_code


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({}, 200),
        ({"status": "ready"}, 200),
        ({"status": "error"}, 200),
        ({"replaces": OTHER}, 404),
        ({"replaces": OTHER, "status": "error"}, 404),
        ({"replaces": OTHER, "status": "ready"}, 200),
        ({"replaces": a_video().id, "status": "error"}, 404),
        ({"kind": "practice", "lesson_id": ""}, 404),
        ({"kind": "file", "status": "ready"}, 404),
    ],
)
async def test_it_is_one_that_plays_in_its_lesson(running: RunningNode, state: dict[str, Any], expected: int) -> None:
    assert await status(running, await stored(running, **state)) == expected


async def test_nobody_is_asked_about_what_is_not_here(running: RunningNode, answering: Answering) -> None:
    practice = await stored(running, kind="practice", lesson_id="")
    for video in (practice, *(str(uuid4()) for _ in range(20))):
        assert await status(running, video) == 404
    assert answering.told(POSTERS) == []


async def test_while_it_is_in_doubt_what_was_deleted_none_is_shown(running: RunningNode, answering: Answering) -> None:
    video = await stored(running)
    assert await status(running, video) == 200
    assert running.node
    running.node.catalogue.hide_all()
    assert await status(running, video) == 404


async def test_one_without_a_file_is_none(running: RunningNode) -> None:
    video = await stored(running)
    assert running.node
    (running.node.store.folder(a_video()) / "poster.jpg").unlink()
    assert await status(running, video) == 404
