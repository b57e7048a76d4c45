"""Who is told how a video's processing goes."""

from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pytest

from cloud_service.settings import CloudSettings
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, RunningNode, a_video, eventually, running_node, store
from tests.cloud.things import TEACHER, USER

pytestmark = pytest.mark.anyio

PATH = f"/videos/{a_video().id}/processing"


@pytest.fixture
def vps(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, vps: Answering) -> AsyncIterator[RunningNode]:
    async with running_node(settings) as running:
        node = await eventually(lambda: running.node and running.node.rights.position and running.node)
        await store(node, a_video())
        yield running


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_it_is_told_to_the_owner_and_not_to_whoever_bought_a_key(running: RunningNode, vps: Answering) -> None:
    vps.paid |= {TEACHER}
    assert (await running.get(PATH, TEACHER)).json()["status"] == "processing"
    for who in (USER, uuid4()):
        assert refusal(await running.get(PATH, who)) == (404, "video_not_found")


async def test_an_owner_who_may_not_watch_any_more_is_not_told_either(running: RunningNode, vps: Answering) -> None:
    """Banned or signed out, say: the token itself is good for a while."""
    assert refusal(await running.get(PATH, TEACHER)) == (404, "video_not_found")
    vps.away = True
    assert (await running.get(PATH, TEACHER)).status_code in (404, 503)
