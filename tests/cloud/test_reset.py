"""The feed begins anew: deletions may have been missed, so every video is in doubt until the VPS was asked about it."""

from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from cloud_service.settings import CloudSettings
from shared import contract
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import FILM, Answering, RunningNode, a_video, eventually, opened, running_node, store

pytestmark = [pytest.mark.anyio, pytest.mark.settings(feed_wait_s=0.5, report_every_s=0.1)]

FIRST, SECOND = a_video(1), a_video(2)


@pytest.fixture
def vps(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, vps: Answering) -> AsyncIterator[RunningNode]:
    """With two videos, compared and up to date."""
    async with opened(settings) as node:
        await store(node, FIRST, SECOND)
    async with running_node(settings) as running:
        await eventually(lambda: vps.told(contract.RECONCILED) and is_confirmed(running) and epoch_of(running))
        yield running


def is_confirmed(running: RunningNode) -> bool:
    return running.node is not None and running.node.catalogue.is_confirmed


def epoch_of(running: RunningNode) -> UUID | None:
    position = running.node.rights.position if running.node else None
    return position.epoch if position else None


async def is_set_back(running: RunningNode, vps: Answering) -> None:
    """The VPS's database is another one, does not compare for now, and the node has heard of it."""
    vps.comparing_fails, vps.epoch = True, uuid4()
    await eventually(lambda: epoch_of(running) == vps.epoch)


async def check_nothing_is_served(running: RunningNode) -> None:
    for video in (FIRST, SECOND):
        for path in (f"/videos/{video.id}", f"/videos/{video.id}/stream"):
            answer = await running.get(path)
            assert (answer.status_code, answer.json()["code"]) == (503, "rights_unknown")
            assert int(answer.headers["retry-after"]) > 0


async def check_what_is_gone_is_never_served(running: RunningNode) -> None:
    """While the two are compared, and afterwards."""

    async def is_compared() -> bool:
        confirmed = is_confirmed(running)
        assert (await running.watch(SECOND)).status_code in ((404,) if confirmed else (503, 404))
        return confirmed

    await eventually(is_compared)
    assert (await running.watch(FIRST)).content == FILM


async def test_after_a_reset_no_video_is_served_before_the_vps_was_asked_about_it(
    running: RunningNode, vps: Answering
) -> None:
    assert (await running.watch(SECOND)).content == FILM
    vps.gone = {UUID(SECOND.id)}
    await is_set_back(running, vps)
    await check_nothing_is_served(running)
    vps.comparing_fails = False
    await check_what_is_gone_is_never_served(running)


async def test_a_node_that_ends_between_a_reset_and_the_comparing_serves_nothing_when_it_starts_again(
    settings: CloudSettings, vps: Answering
) -> None:
    async with opened(settings) as node:
        await store(node, FIRST, SECOND)
    async with running_node(settings) as running:
        await eventually(lambda: vps.told(contract.RECONCILED) and is_confirmed(running) and epoch_of(running))
        vps.gone = {UUID(SECOND.id)}
        await is_set_back(running, vps)
    async with running_node(settings) as running:
        await check_nothing_is_served(running)
        vps.comparing_fails = False
        await check_what_is_gone_is_never_served(running)


async def test_what_a_new_node_takes_before_it_hears_of_any_change_is_not_in_doubt(
    settings: CloudSettings, vps: Answering
) -> None:
    vps.changes_fail = vps.comparing_fails = True
    async with running_node(settings) as running:
        await eventually(lambda: running.node is not None)
        assert running.node is not None
        await store(running.node, FIRST)
        vps.changes_fail = False
        await eventually(lambda: epoch_of(running))
        assert (await running.watch(FIRST)).content == FILM
        await is_set_back(running, vps)
        assert (await running.watch(FIRST)).status_code == 503
