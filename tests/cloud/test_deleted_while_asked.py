"""A video goes while the VPS is asked whether somebody may watch it: they may, and there is nothing to watch."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from cloud_service.settings import CloudSettings
from shared import contract
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, RunningNode, a_video, eventually, opened, running_node, store
from tests.cloud.things import COURSE, TEACHER, USER, change

pytestmark = [pytest.mark.anyio, pytest.mark.settings(feed_wait_s=0.5, report_every_s=0.1, trust_starting_s=2)]

VIDEO = a_video()


@pytest.fixture
def vps(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, vps: Answering) -> AsyncIterator[RunningNode]:
    async with opened(settings) as node:
        await store(node, VIDEO)
    async with running_node(settings) as running:
        await eventually(lambda: position(running) is not None)
        yield running


def position(running: RunningNode) -> int | None:
    """In the feed, once everything was compared."""
    node = running.node
    return node.rights.position.number if node and node.catalogue.is_confirmed and node.rights.position else None


@pytest.mark.parametrize("way", ["a link", "the stream"])
async def test_it_is_not_found(running: RunningNode, vps: Answering, way: str) -> None:
    began = (await running.send("POST", f"/videos/{VIDEO.id}/playback", USER)).json()
    path = urlsplit(began["mp4"][0]["url"]).path if way == "a link" else f"/videos/{VIDEO.id}/stream"
    assert (await running.get(path)).status_code == 200
    vps.changes.append(change(1, "key_refunded", user=USER, course=COURSE))
    await eventually(lambda: position(running) == 1)
    asked = len(vps.told(contract.ACCESS))
    vps.may_answer.clear()
    watching = asyncio.ensure_future(running.get(path))
    await eventually(lambda: len(vps.told(contract.ACCESS)) > asked)
    assert (await running.delete(f"/videos/{VIDEO.id}", TEACHER)).status_code == 204
    vps.may_answer.set()
    answer = await watching
    assert (answer.status_code, answer.json()["code"]) == (404, "video_not_found")
