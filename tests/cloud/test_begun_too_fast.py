"""Each playback is kept and told: a user who begins them in a loop is told to wait, and nobody else notices."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from cloud_service.settings import CloudSettings
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, RunningNode, a_video, eventually, opened, running_node, store
from tests.cloud.things import USER

PER_MINUTE = 3
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.settings(feed_wait_s=0.5, report_every_s=0.1, trust_starting_s=2, playbacks_per_minute=PER_MINUTE),
]
VIDEO = a_video()
PATH = f"/videos/{VIDEO.id}/playback"


@pytest.fixture
def vps(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, vps: Answering) -> AsyncIterator[RunningNode]:
    async with opened(settings) as node:
        await store(node, VIDEO)
    async with running_node(settings) as running:
        await eventually(lambda: is_up_to_date(running))
        yield running


def is_up_to_date(running: RunningNode) -> bool:
    node = running.node
    return node is not None and node.catalogue.is_confirmed and node.rights.position is not None


async def test_a_user_who_begins_playbacks_in_a_loop_has_to_wait_and_others_do_not(
    running: RunningNode, vps: Answering
) -> None:
    other, stranger = uuid4(), uuid4()
    vps.paid.add(other)
    assert [(await running.send("POST", PATH, USER)).status_code for _ in range(PER_MINUTE)] == [201] * PER_MINUTE
    for _ in range(PER_MINUTE):
        answer = await running.send("POST", PATH, USER)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_playbacks")
        assert 0 < int(answer.headers["retry-after"]) <= 60 / PER_MINUTE
    assert running.node is not None
    assert len(running.node.playbacks) == PER_MINUTE
    assert (await running.send("POST", PATH, other)).status_code == 201
    refusals = [(await running.send("POST", PATH, stranger)).status_code for _ in range(PER_MINUTE + 1)]
    assert refusals == [403] * (PER_MINUTE + 1)  # whoever may not watch is told that
