"""May this viewer watch this video? From memory, or from the VPS, and never by what is not so any more."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.db import Database
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps, VpsUnreachable
from shared.contract import ACCESS, AccessAnswer
from shared.problems import NotAuthenticated
from tests.cloud.deciding import DecidingNode
from tests.cloud.made_up import MadeUpVps, bodies, response_of
from tests.cloud.things import COURSE, USER, allowed, denied, video, viewer

pytestmark = pytest.mark.anyio

AWAY = httpx.ConnectError("down")


@pytest.fixture
async def node(database: Database, vps: Vps, settings: CloudSettings) -> DecidingNode:
    """One that has just pulled the feed."""
    node = DecidingNode(database, vps, settings)
    await node.is_up_to_date()
    return node


# --- known and not known --------------------------------------------------------------------------------


async def test_what_the_vps_grants_is_asked_once(node: DecidingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", ACCESS, allowed())
    for _ in range(3):
        await node.watches()
    await node.watches(what=video(video_id=uuid4()))
    assert route.call_count == 1
    asked = {"user_id": str(USER), "generation": 0, "session_id": None, "video_id": video().id}
    assert bodies(route) == [asked]


async def test_of_what_is_to_take_anothers_place_a_key_holder_hears_from_the_vps_until_it_is_ready(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    coming = replace(video(video_id=uuid4()), replaces=video().id)
    route = made_up.answers("POST", ACCESS, allowed(), denied(reason="video_not_found"), allowed(2))
    await node.watches()
    with pytest.raises(VideoNotFound):
        await node.watches(what=coming)
    await node.watches(what=coming, after=2)  # the other one was deleted meanwhile
    assert node.access.granted(viewer(), coming)  # so what has begun goes on
    assert route.call_count == 3
    await node.watches(what=replace(coming, status="ready"))
    assert route.call_count == 3


async def test_its_owner_sees_what_is_to_take_anothers_place_without_asking_again(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    route = made_up.answers("POST", ACCESS, allowed(via="owner"))
    for _ in range(2):
        await node.watches(what=replace(video(), replaces=str(uuid4())))
    assert route.call_count == 1


@pytest.mark.parametrize(
    ("reason", "error"),
    [("key_required", KeyRequired), ("video_not_found", VideoNotFound), ("signed_out", NotAuthenticated)],
)
async def test_what_the_vps_refuses_is_refused_without_asking_again_at_once(
    node: DecidingNode, made_up: MadeUpVps, reason: str, error: type[Exception]
) -> None:
    route = made_up.answers("POST", ACCESS, denied(reason=reason))
    for _ in range(5):
        with pytest.raises(error):
            await node.watches()
    assert route.call_count == 1


async def test_while_the_vps_is_away_who_is_not_known_is_told_to_come_back(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", ACCESS, AWAY)
    with pytest.raises(VpsUnreachable) as unknown:
        await node.watches()
    assert unknown.value.headers["Retry-After"]


async def test_before_the_first_pull_a_right_is_kept_in_memory_only(
    database: Database, vps: Vps, settings: CloudSettings, made_up: MadeUpVps
) -> None:
    """The pull itself ends it: nothing would have told that it is over."""
    node = DecidingNode(database, vps, settings)
    route = made_up.answers("POST", ACCESS, allowed())
    for _ in range(3):
        await node.watches()
    assert (route.call_count, len(node.rights)) == (1, 1)
    assert await database.fetch("SELECT * FROM grants") == []


async def test_a_right_that_cannot_be_written_down_holds_all_the_same(node: DecidingNode, made_up: MadeUpVps) -> None:
    async with node.database.transaction() as transaction:
        await transaction.execute(
            "CREATE TRIGGER full BEFORE INSERT ON grants BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        )
    route = made_up.answers("POST", ACCESS, allowed())
    for _ in range(2):
        await node.watches()
    assert (route.call_count, len(node.rights)) == (1, 1)
    await node.hears(7, "key_refunded", user=USER, course=COURSE)
    assert len(node.rights) == 0


async def test_a_right_whose_writing_somebody_holds_up_is_had_from_memory_and_ends_there_and_in_the_file(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    """As while a backup is running."""
    route = made_up.answers("POST", ACCESS, allowed(1), denied(7))
    with closing(sqlite3.connect(node.database.path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        for _ in range(3):
            await node.watches()
        assert (route.call_count, len(node.rights)) == (1, 1)
        ending = asyncio.ensure_future(node.hears(7, "key_refunded", user=USER, course=COURSE))
        await asyncio.sleep(0)
        assert len(node.rights) == 0
        holder.execute("ROLLBACK")
        await ending
    with pytest.raises(KeyRequired):
        await node.watches()
    assert len(node.rights) == 0
    assert await node.database.fetch("SELECT * FROM grants") == []


async def test_nobody_who_has_a_right_waits_until_another_transaction_ends(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", ACCESS, allowed())
    async with asyncio.timeout(30), node.database.transaction():
        await node.watches()
    assert len(node.rights) == 1


async def test_an_answer_from_before_a_change_is_asked_for_again(node: DecidingNode, made_up: MadeUpVps) -> None:
    await node.hears(7, "key_refunded", user=USER, course=COURSE)
    route = made_up.answers("POST", ACCESS, allowed(6), denied(7))
    with pytest.raises(KeyRequired):
        await node.watches()
    assert (route.call_count, len(node.rights)) == (2, 0)


async def test_an_answer_of_another_epoch_is_asked_for_again_and_never_believed(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    """The VPS was set back and the feed has not told yet: that cannot be known now."""
    route = made_up.answers("POST", ACCESS, allowed(99, epoch=uuid4()))
    with pytest.raises(RightsUnknown) as unknown:
        await node.watches()
    assert unknown.value.status == 503
    assert (route.call_count, len(node.rights)) == (3, 0)


async def test_a_revocation_while_the_question_is_under_way_wins(node: DecidingNode, made_up: MadeUpVps) -> None:
    async with held_answer(made_up, allowed(1), then=denied(2)) as (asked, answer):
        watching = asyncio.ensure_future(node.watches())
        await asked.wait()
        await node.hears(2, "key_refunded", user=USER, course=COURSE)
        answer.set()
        with pytest.raises(KeyRequired):
            await watching
    assert len(node.rights) == 0


@asynccontextmanager
async def held_answer(
    made_up: MadeUpVps, first: AccessAnswer, *, then: AccessAnswer
) -> AsyncIterator[tuple[asyncio.Event, asyncio.Event]]:
    """The VPS's first answer is on its way until the second event; the first one says that it was asked."""
    asked, go_on, answers = asyncio.Event(), asyncio.Event(), [first]

    async def answer(request: httpx.Request) -> httpx.Response:
        found = answers.pop() if answers else then
        if found is first:
            asked.set()
            await go_on.wait()
        return made_up.signed(request, response_of(found))

    made_up.does("POST", ACCESS, answer)
    yield asked, go_on


# --- new buyers -----------------------------------------------------------------------------------------


async def test_whoever_has_just_paid_is_asked_about_anew_by_what_they_know(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", ACCESS, denied(4), allowed(5))
    with pytest.raises(KeyRequired):
        await node.watches()
    with pytest.raises(KeyRequired):
        await node.watches(after=4)
    await node.watches(after=5)


@pytest.mark.parametrize(
    ("kind", "about"),
    [
        ("key_granted", {"user": USER, "course": COURSE}),
        ("course_published", {"course": COURSE}),
        ("user_activated", {"user": USER}),
        ("lesson_preview_changed", {"course": COURSE, "video": UUID(video().id)}),
    ],
)
async def test_a_change_about_the_refused_has_them_asked_about_at_once(
    node: DecidingNode, made_up: MadeUpVps, kind: str, about: dict[str, UUID]
) -> None:
    made_up.answers("POST", ACCESS, denied(4), allowed(5))
    with pytest.raises(KeyRequired):
        await node.watches()
    await node.hears(5, kind, **about)
    await node.watches()


async def test_a_change_about_somebody_else_has_nobody_asked_about(node: DecidingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", ACCESS, denied(4))
    with pytest.raises(KeyRequired):
        await node.watches()
    await node.hears(5, "key_granted", user=uuid4(), course=COURSE)
    with pytest.raises(KeyRequired):
        await node.watches()
    assert route.call_count == 1


async def test_a_buyer_is_not_refused_by_a_question_from_before_they_paid(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    """That is still under way, and that the request with the new address joins."""
    async with held_answer(made_up, denied(4), then=allowed(5)) as (asked, answer):
        before = asyncio.ensure_future(node.watches())
        await asked.wait()
        paid = asyncio.ensure_future(node.watches(after=5))
        await asyncio.sleep(0)
        answer.set()
        with pytest.raises(KeyRequired):
            await before
        await paid


async def test_a_refusal_that_was_overtaken_by_the_buyers_key_is_not_kept(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    """It was on its way when the change arrived: the next request with the bare address is asked about anew."""
    async with held_answer(made_up, denied(4), then=allowed(5)) as (asked, answer):
        before = asyncio.ensure_future(node.watches())
        await asked.wait()
        await node.hears(5, "key_granted", user=USER, course=COURSE)
        answer.set()
        await asyncio.wait([before])
        before.exception()
        await node.watches()


# --- generations ----------------------------------------------------------------------------------------


async def test_once_a_later_token_was_let_in_an_earlier_one_is_signed_out(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    """Without a question: its user has signed out everywhere, and in again."""
    route = made_up.answers("POST", ACCESS, allowed(2))
    await node.watches(viewer(generation=2))
    for _ in range(2):
        with pytest.raises(NotAuthenticated):
            await node.watches(viewer(generation=1))
    assert node.access.granted(viewer(generation=2), video())
    assert route.call_count == 1


async def test_a_user_who_signed_out_everywhere_is_asked_about_and_refused(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", ACCESS, allowed(), denied(2, "signed_out"))
    await node.watches()
    await node.hears(2, "user_signed_out", user=USER)
    with pytest.raises(NotAuthenticated):
        await node.watches()


async def test_an_old_token_brings_no_right_back_while_the_vps_is_away(node: DecidingNode, made_up: MadeUpVps) -> None:
    made_up.answers("POST", ACCESS, allowed(), AWAY)
    await node.watches()
    await node.hears(2, "user_signed_out", user=USER)
    with pytest.raises(VpsUnreachable):
        await node.watches()
