"""For how long what is known is trusted while the VPS is away: 503 afterwards, and never a refusal."""

import time
from uuid import uuid4

import httpx
import pytest
import respx

from cloud_service.access.actions import RightsUnknown
from cloud_service.db import Database
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps
from shared.contract import ACCESS, STANDING
from shared.problems import NotAuthenticated
from tests.cloud.deciding import SARA, DecidingNode
from tests.cloud.made_up import MadeUpVps
from tests.cloud.things import COURSE, EPOCH, TEACHER, allowed, grant, standing, video, viewer

pytestmark = pytest.mark.anyio

STARTING_S, WATCHING_S = 300, 900
AWAY = httpx.ConnectError("down")
OMAR = viewer(TEACHER)


@pytest.fixture
async def node(database: Database, vps: Vps, settings: CloudSettings) -> DecidingNode:
    """One that has just pulled the feed."""
    node = DecidingNode(database, vps, settings)
    await node.is_up_to_date()
    return node


# --- for how long -----------------------------------------------------------------------------------------


async def known(node: DecidingNode, made_up: MadeUpVps, *, age_s: float) -> respx.Route:
    """The viewer was let in just now; the feed was pulled that long ago. The VPS is away."""
    await node.rights.remember(grant(), EPOCH)
    await node.is_up_to_date(since_s=age_s)
    return made_up.answers("POST", ACCESS, AWAY)


@pytest.mark.parametrize(("age_s", "may"), [(0, True), (STARTING_S - 5, True), (STARTING_S + 1, False)])
async def test_whoever_starts_is_let_in_for_the_shorter_time(
    node: DecidingNode, made_up: MadeUpVps, age_s: float, may: bool
) -> None:
    await known(node, made_up, age_s=age_s)
    if may:
        await node.watches()
    else:
        with pytest.raises(RightsUnknown) as unknown:
            await node.watches()
        assert (unknown.value.status, bool(unknown.value.headers["Retry-After"])) == (503, True)


@pytest.mark.parametrize(("age_s", "may"), [(STARTING_S + 1, True), (WATCHING_S - 5, True), (WATCHING_S + 1, False)])
async def test_whoever_watches_goes_on_for_the_longer_time(
    node: DecidingNode, made_up: MadeUpVps, age_s: float, may: bool
) -> None:
    await known(node, made_up, age_s=0)
    await node.watches()
    await node.is_up_to_date(since_s=age_s)
    if may:
        await node.watches()
        with pytest.raises(RightsUnknown):
            await node.watches(what=video(video_id=uuid4()))  # another video of the course is a start
    else:
        with pytest.raises(RightsUnknown):
            await node.watches()


async def test_whoever_was_just_let_in_by_the_vps_itself_is_watching(node: DecidingNode, made_up: MadeUpVps) -> None:
    """The feed is behind, yet the VPS has answered."""
    await node.is_up_to_date(since_s=STARTING_S + 1)
    made_up.answers("POST", ACCESS, allowed(), AWAY)
    await node.watches()
    assert node.access.granted(SARA, video())


async def test_a_restart_makes_nobody_a_watcher_and_nothing_fresher(node: DecidingNode, made_up: MadeUpVps) -> None:
    await known(node, made_up, age_s=0)
    await node.watches()
    await node.is_up_to_date(since_s=STARTING_S + 1)
    await node.watches()
    again = await node.restarted()
    with pytest.raises(RightsUnknown):
        await again.watches()


async def test_once_the_feed_is_pulled_again_all_is_as_before(node: DecidingNode, made_up: MadeUpVps) -> None:
    await known(node, made_up, age_s=WATCHING_S + 1)
    with pytest.raises(RightsUnknown):
        await node.watches()
    await node.is_up_to_date()
    await node.watches()


@pytest.mark.settings(trust_starting_s=20, trust_watching_s=40)
async def test_an_operator_may_trust_for_shorter(node: DecidingNode, made_up: MadeUpVps) -> None:
    await known(node, made_up, age_s=21)
    with pytest.raises(RightsUnknown):
        await node.watches()


@pytest.mark.parametrize("jump_s", [-86_400, 86_400])
async def test_a_wall_clock_that_jumps_lets_nobody_in_for_longer_or_shorter(
    node: DecidingNode, made_up: MadeUpVps, monkeypatch: pytest.MonkeyPatch, jump_s: int
) -> None:
    await known(node, made_up, age_s=STARTING_S - 60)
    jumped = time.time() + jump_s
    with monkeypatch.context() as machine:
        machine.setattr(time, "time", lambda: jumped)
        await node.watches()
        await node.is_up_to_date(since_s=WATCHING_S + 1)
        with pytest.raises(RightsUnknown):
            await node.watches()


# --- teachers -------------------------------------------------------------------------------------------


async def test_a_permission_is_remembered_for_the_shorter_time(node: DecidingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", STANDING, standing(), AWAY)
    for _ in range(3):
        assert (await node.access.standing(OMAR, COURSE)).verified
    assert route.call_count == 1
    await node.is_up_to_date(since_s=STARTING_S + 1)
    with pytest.raises(RightsUnknown) as unknown:
        await node.access.standing(OMAR, COURSE)
    assert (unknown.value.status, bool(unknown.value.headers["Retry-After"])) == (503, True)


async def test_a_no_is_always_asked_for_anew(node: DecidingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", STANDING, standing(verified=False), standing(verified=False), standing(1))
    for _ in range(2):
        assert not (await node.access.standing(OMAR, None)).verified
    assert (await node.access.standing(OMAR, None)).verified
    assert route.call_count == 3


async def test_a_teacher_who_was_signed_out_is_told_so(node: DecidingNode, made_up: MadeUpVps) -> None:
    made_up.answers("POST", STANDING, standing(is_teacher=False, verified=False, signed_out=True))
    with pytest.raises(NotAuthenticated):
        await node.access.standing(OMAR, None)


async def test_a_demotion_has_the_teacher_asked_about_anew(node: DecidingNode, made_up: MadeUpVps) -> None:
    made_up.answers("POST", STANDING, standing(), standing(2, verified=False))
    assert (await node.access.standing(OMAR, COURSE)).verified
    await node.hears(2, "teacher_demoted", user=TEACHER)
    assert not (await node.access.standing(OMAR, COURSE)).verified
