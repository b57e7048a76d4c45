"""Pulling the VPS's changes: in order, without gaps, and starting again when the position is of no use."""

import sqlite3
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx

from cloud_service.access.rights import Rights
from cloud_service.clock import uptime
from cloud_service.db import Database, Transaction
from cloud_service.feed import Feed
from cloud_service.freshness import Freshness
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps, VpsFailed, VpsRefused, VpsUnreachable
from shared.contract import CHANGES, Change
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import a_video, opened, store
from tests.cloud.things import COURSE, EPOCH, MARK, USER, change, grant, position, video

pytestmark = pytest.mark.anyio

WAIT_S = 5.0
ELSEWHERE = uuid4()


def changes(*numbers: int, head: int | None = None, reset: bool = False, epoch: UUID = EPOCH) -> dict[str, Any]:
    items = [{"number": number, "kind": "course_deleted", "course_id": str(uuid4())} for number in numbers]
    head = max(numbers, default=0) if head is None else head
    return {"epoch": str(epoch), "head": head, "mark": str(uuid4()), "reset": reset, "items": items}


class Heard:
    """What the feed told of, and where the node was when it did."""

    def __init__(self, rights: Rights) -> None:
        self._rights = rights
        self.changes: list[tuple[int, int]] = []
        self.resets = 0
        self.fails = False

    async def changed(self, change: Change) -> None:
        if self.fails:
            raise OSError("no space left on device")
        at = self._rights.position
        self.changes.append((change.number, at.number if at else -1))

    async def was_reset(self, transaction: Transaction) -> None:
        self.resets += 1


@pytest.fixture
def heard(rights: Rights) -> Heard:
    return Heard(rights)


@pytest.fixture
def freshness(database: Database) -> Freshness:
    return Freshness(database)


@pytest.fixture
def feed(rights: Rights, freshness: Freshness, vps: Vps, heard: Heard) -> Feed:
    return Feed(rights, freshness, vps, heard, WAIT_S)


async def at(rights: Rights, number: int) -> None:
    await rights.reset(position(number), MARK)
    await rights.remember(grant(number), EPOCH)


def asked(route: respx.Route) -> dict[str, str]:
    return dict(route.calls.last.request.url.params)


async def test_a_node_without_a_position_starts_at_the_head(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps, heard: Heard
) -> None:
    said = changes(head=42, reset=True)
    route = made_up.answers("GET", CHANGES, said)
    await feed.pull()
    assert (rights.position, str(rights.mark)) == (position(42), said["mark"])
    assert asked(route) == {"wait_s": "0"}
    assert (freshness.was_pulled, heard.resets) == (True, 1)


async def test_a_node_goes_on_from_where_it_is_and_says_which_mark_it_was_given(
    feed: Feed, rights: Rights, made_up: MadeUpVps
) -> None:
    await at(rights, 5)
    first, second = changes(6, 7), changes(8)
    route = made_up.answers("GET", CHANGES, first, second)
    await feed.pull()
    assert rights.position == position(7)
    sent = asked(route)
    assert (sent["after"], sent["epoch"], sent["mark"]) == ("5", str(EPOCH), str(MARK))
    await feed.pull()
    sent = asked(route)
    assert (sent["after"], sent["mark"]) == ("7", first["mark"])
    assert len(rights) == 1


async def test_where_a_node_is_survives_a_restart(
    feed: Feed, rights: Rights, database: Database, made_up: MadeUpVps
) -> None:
    await at(rights, 5)
    said = changes(6)
    made_up.answers("GET", CHANGES, said)
    await feed.pull()
    again = Rights(database)
    await again.load()
    assert (again.position, str(again.mark)) == (position(6), said["mark"])


async def test_what_ended_is_gone_once_it_is_pulled(feed: Feed, rights: Rights, made_up: MadeUpVps) -> None:
    await at(rights, 5)
    ended = changes(6)
    ended["items"][0]["course_id"] = str(COURSE)
    made_up.answers("GET", CHANGES, ended)
    await feed.pull()
    assert len(rights) == 0


@pytest.mark.parametrize("numbers", [(7,), (7, 8), (6, 8), (5, 6), (6, 6)])
async def test_a_gap_drops_the_cache_and_has_everything_compared(
    feed: Feed, rights: Rights, made_up: MadeUpVps, heard: Heard, numbers: tuple[int, ...]
) -> None:
    await at(rights, 5)
    made_up.answers("GET", CHANGES, changes(*numbers))
    await feed.pull()
    assert (len(rights), rights.position, heard.resets) == (0, position(numbers[-1]), 1)


async def test_another_epoch_drops_the_cache_and_has_everything_compared(
    feed: Feed, rights: Rights, made_up: MadeUpVps, heard: Heard
) -> None:
    """The VPS was restored from a backup: its numbers mean something else now."""
    await at(rights, 5)
    restored = uuid4()
    made_up.answers("GET", CHANGES, changes(head=3, reset=True, epoch=restored))
    await feed.pull()
    assert (len(rights), rights.position, heard.resets) == (0, position(3, restored), 1)


async def test_nothing_new_keeps_everything(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps, heard: Heard
) -> None:
    await at(rights, 5)
    made_up.answers("GET", CHANGES, changes(head=5))
    await feed.pull()
    assert (len(rights), rights.position, freshness.was_pulled, heard.resets) == (1, position(5), True, 0)


async def test_a_node_that_is_still_behind_does_not_call_itself_fresh_and_does_not_wait(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps
) -> None:
    await at(rights, 5)
    route = made_up.answers("GET", CHANGES, changes(6, 7, head=900), changes(8, head=8))
    await feed.pull()
    assert (freshness.was_pulled, feed.lag) == (False, 893)
    await feed.pull()
    assert asked(route)["wait_s"] == "0"
    assert (freshness.was_pulled, feed.lag) == (True, 0)


async def test_a_node_that_is_up_to_date_has_the_vps_wait_for_news(
    feed: Feed, rights: Rights, made_up: MadeUpVps
) -> None:
    await at(rights, 5)
    route = made_up.answers("GET", CHANGES, changes(head=5))
    await feed.pull()
    await feed.pull()
    assert float(asked(route)["wait_s"]) == WAIT_S


async def test_an_answer_is_as_fresh_as_the_question(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps
) -> None:
    """What changed while it was on its way may not be in it."""
    await at(rights, 5)
    asked_at: list[float] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked_at.append(uptime())
        return made_up.signed(request, httpx.Response(200, json=changes(head=5)))

    made_up.does("GET", CHANGES, answer)
    await feed.pull()
    assert freshness.age_s() >= uptime() - asked_at[0] - 0.001


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError("down"), VpsUnreachable),
        (httpx.ReadTimeout("slow"), VpsUnreachable),
        (httpx.Response(500), VpsFailed),
        (httpx.Response(401), VpsRefused),
        (httpx.Response(200, json={"something": "else"}), VpsRefused),
        (httpx.Response(302, headers={"Location": "http://elsewhere.test/"}), VpsRefused),
    ],
    ids=repr,
)
async def test_a_pull_that_fails_changes_nothing(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps, answer: Any, error: type[Exception]
) -> None:
    await at(rights, 5)
    made_up.answers("GET", CHANGES, answer)
    with pytest.raises(error):
        await feed.pull()
    assert (len(rights), rights.position, freshness.was_pulled) == (1, position(5), False)


async def test_changes_that_nobody_signed_move_nothing(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps
) -> None:
    await at(rights, 5)
    made_up.does("GET", CHANGES, lambda _: httpx.Response(200, json=changes(head=5)))
    with pytest.raises(VpsUnreachable):
        await feed.pull()
    assert (rights.position, freshness.was_pulled) == (position(5), False)


async def test_the_feed_tells_of_each_change_before_it_moves_on(
    feed: Feed, rights: Rights, made_up: MadeUpVps, heard: Heard
) -> None:
    await at(rights, 5)
    made_up.answers("GET", CHANGES, changes(6, 7))
    await feed.pull()
    assert heard.changes == [(6, 5), (7, 5)]


async def test_a_change_that_could_not_be_acted_on_comes_again(
    feed: Feed, rights: Rights, freshness: Freshness, made_up: MadeUpVps, heard: Heard
) -> None:
    await at(rights, 5)
    made_up.answers("GET", CHANGES, changes(6))
    heard.fails = True
    with pytest.raises(OSError, match="no space"):
        await feed.pull()
    assert (rights.position, freshness.was_pulled) == (position(5), False)
    heard.fails = False
    await feed.pull()
    assert (rights.position, heard.changes) == (position(6), [(6, 5)])


async def test_a_change_that_could_not_be_stored_denies_at_once_and_comes_again(
    feed: Feed, rights: Rights, database: Database, made_up: MadeUpVps
) -> None:
    await at(rights, 5)
    ended = changes(6)
    ended["items"][0]["course_id"] = str(COURSE)
    made_up.answers("GET", CHANGES, ended)
    async with database.transaction() as transaction:
        full = "CREATE TRIGGER full BEFORE INSERT ON remembered BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
        await transaction.execute(full)
    with pytest.raises(Exception, match="disk is full"):
        await feed.pull()
    assert rights.position == position(5)
    assert rights.grant_for(grant().scope.user_id, video()) is None
    async with database.transaction() as transaction:
        await transaction.execute("DROP TRIGGER full")
    await feed.pull()
    assert rights.position == position(6)
    assert await database.fetch("SELECT * FROM grants") == []


async def test_what_ended_is_denied_though_an_earlier_change_of_its_batch_cannot_be_acted_on(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    film = a_video(1)
    batch = changes(6, 7)
    batch["items"][0]["course_id"] = film.course_id
    batch["items"][1] = change(7, "key_refunded", user=USER, course=ELSEWHERE).model_dump(mode="json")
    made_up.answers("GET", CHANGES, batch)
    async with opened(settings) as node:
        await store(node, film)
        await at(node.rights, 5)
        await node.rights.remember(grant(5, course=ELSEWHERE), EPOCH)
        async with node.database.transaction() as transaction:
            fails = "BEFORE DELETE ON videos BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"
            await transaction.execute(f"CREATE TRIGGER undeletable {fails}")
        with pytest.raises(sqlite3.Error, match="disk I/O error"):
            await node.feed.pull()
        assert node.rights.position == position(5)
        assert node.rights.grant_for(str(USER), video(course=ELSEWHERE)) is None
