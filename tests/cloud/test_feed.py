"""Pulling the VPS's changes: in order, without gaps, and starting again when the position is of no use."""

import time
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import respx

from cloud_service.access.models import ANY, Grant, Scope
from cloud_service.access.rights import Rights
from cloud_service.db import Database
from cloud_service.feed import Feed
from shared.contract import CHANGES, Change
from shared.peer import Peer, PeerRefused, PeerUnreachable

pytestmark = pytest.mark.anyio

EPOCH, COURSE, USER = uuid4(), uuid4(), uuid4()


def changes(*numbers: int, head: int | None = None, reset: bool = False, epoch: UUID = EPOCH) -> dict[str, Any]:
    items = [{"number": number, "kind": "course_deleted", "course_id": str(uuid4())} for number in numbers]
    head = max(numbers, default=0) if head is None else head
    return {"epoch": str(epoch), "head": head, "reset": reset, "items": items}


@pytest.fixture
def told() -> list[Change]:
    """What the feed has told of before it applied it."""
    return []


@pytest.fixture
def feed(database: Database, rights: Rights, peer: Peer, told: list[Change]) -> Feed:
    async def deleted(change: Change) -> None:
        told.append(change)

    return Feed(database, rights, peer, deleted)


@pytest.fixture
def answers(vps: respx.MockRouter) -> respx.Route:
    return vps.get(CHANGES)


async def at(rights: Rights, position: int) -> None:
    await rights.reset(EPOCH, position)
    await rights.remember(Grant(Scope(str(USER), str(COURSE), ANY), "omar", "key", position))


async def test_a_node_without_a_position_starts_at_the_head(feed: Feed, rights: Rights, answers: respx.Route) -> None:
    answers.respond(json=changes(head=42, reset=True))
    await feed.pull()
    assert (rights.epoch, rights.position) == (EPOCH, 42)
    assert dict(answers.calls.last.request.url.params) == {"wait_s": "0"}
    assert feed.was_pulled


async def test_a_node_goes_on_from_where_it_is(feed: Feed, rights: Rights, answers: respx.Route) -> None:
    await at(rights, 5)
    answers.respond(json=changes(6, 7))
    await feed.pull()
    assert rights.position == 7
    asked = answers.calls.last.request.url.params
    assert (asked["after"], asked["epoch"]) == ("5", str(EPOCH))
    assert len(rights) == 1


async def test_what_ended_is_gone_once_it_is_pulled(feed: Feed, rights: Rights, answers: respx.Route) -> None:
    await at(rights, 5)
    ended = changes(6)
    ended["items"][0]["course_id"] = str(COURSE)
    answers.respond(json=ended)
    await feed.pull()
    assert len(rights) == 0


@pytest.mark.parametrize("numbers", [(7,), (7, 8), (6, 8), (5, 6), (6, 6)])
async def test_a_gap_drops_the_cache(
    feed: Feed, rights: Rights, answers: respx.Route, numbers: tuple[int, ...]
) -> None:
    await at(rights, 5)
    answers.respond(json=changes(*numbers))
    await feed.pull()
    assert (len(rights), rights.position) == (0, numbers[-1])


async def test_another_epoch_drops_the_cache(feed: Feed, rights: Rights, answers: respx.Route) -> None:
    """The VPS was restored from a backup: its numbers mean something else now."""
    await at(rights, 5)
    restored = uuid4()
    answers.respond(json=changes(head=3, reset=True, epoch=restored))
    await feed.pull()
    assert (len(rights), rights.epoch, rights.position) == (0, restored, 3)


async def test_nothing_new_keeps_everything(feed: Feed, rights: Rights, answers: respx.Route) -> None:
    await at(rights, 5)
    answers.respond(json=changes(head=5))
    await feed.pull()
    assert (len(rights), rights.position, feed.was_pulled) == (1, 5, True)


async def test_a_node_that_is_still_behind_does_not_call_itself_fresh(
    feed: Feed, rights: Rights, answers: respx.Route
) -> None:
    await at(rights, 5)
    answers.respond(json=changes(6, 7, head=900))
    await feed.pull()
    assert not feed.was_pulled
    answers.respond(json=changes(8, head=8))
    await feed.pull()
    assert feed.was_pulled
    assert feed.age_s() < 5


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.ConnectError("down"), PeerUnreachable),
        (httpx.ReadTimeout("slow"), PeerUnreachable),
        (httpx.Response(500), PeerUnreachable),
        (httpx.Response(401), PeerRefused),
        (httpx.Response(200, json={"something": "else"}), PeerRefused),
        (httpx.Response(302, headers={"Location": "http://elsewhere.test/"}), PeerRefused),
    ],
)
async def test_a_pull_that_fails_changes_nothing(
    feed: Feed, rights: Rights, answers: respx.Route, answer: Any, error: type[Exception]
) -> None:
    await at(rights, 5)
    answers.mock(side_effect=[answer])
    with pytest.raises(error):
        await feed.pull()
    assert (len(rights), rights.position, feed.was_pulled) == (1, 5, False)


async def test_the_feed_tells_of_each_change_before_it_moves_on(
    feed: Feed, rights: Rights, answers: respx.Route, told: list[Change]
) -> None:
    await at(rights, 5)
    answers.respond(json=changes(6, 7))
    await feed.pull()
    assert [change.number for change in told] == [6, 7]


async def test_a_restart_makes_what_is_known_no_fresher(
    feed: Feed, database: Database, rights: Rights, peer: Peer, answers: respx.Route
) -> None:
    answers.respond(json=changes(head=0, reset=True))
    await feed.pull()
    async with database.transaction() as transaction:
        an_hour_ago = str(time.time() - 3600)
        await transaction.execute("UPDATE remembered SET value = ? WHERE name = 'feed_pulled_at'", (an_hour_ago,))

    async def nothing(_: Change) -> None: ...

    again = Feed(database, rights, peer, nothing)
    await again.load()
    assert 3590 < again.age_s() < 3610
