"""Whose posters are for everybody: the VPS says so once a course, and says when it is over."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from cloud_service.access import marks
from cloud_service.access import published as keeping
from cloud_service.access.published import AT_ONCE, Published
from cloud_service.db import Database
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps
from shared.posters import POSTERS, PostersAnswer
from tests.cloud.deciding import DecidingNode
from tests.cloud.made_up import MadeUpVps, bodies, response_of
from tests.cloud.things import COURSE, EPOCH, MARK, TEACHER, USER, VIDEO, change, position

pytestmark = pytest.mark.anyio

TRUSTED_S = 900.0


def said(number: int, *, public: bool = True, epoch: UUID = EPOCH) -> PostersAnswer:
    return PostersAnswer(are_public=public, as_of=position(number, epoch))


class AskingNode(DecidingNode):
    def __init__(self, database: Database, vps: Vps, settings: CloudSettings) -> None:
        super().__init__(database, vps, settings)
        self.published = Published(self.rights, self.freshness, vps, TRUSTED_S)

    async def shows(self, course: UUID = COURSE) -> bool:
        return await self.published.includes(str(course))

    async def is_told(self, number: int, kind: str, **about: UUID) -> None:
        """As the feed does it: first everybody hears of it, then it is written down."""
        news = change(number, kind, **about)
        self.rights.hear([news])
        self.published.hear(news)
        await self.rights.apply([news], position(number), MARK)


@pytest.fixture
async def node(database: Database, vps: Vps, settings: CloudSettings) -> AskingNode:
    node = AskingNode(database, vps, settings)
    await node.is_up_to_date()
    return node


@pytest.mark.parametrize("public", [True, False])
async def test_a_course_is_asked_about_once_whatever_the_answer(
    node: AskingNode, made_up: MadeUpVps, public: bool
) -> None:
    route = made_up.answers("POST", POSTERS, said(0, public=public))
    assert [await node.shows() for _ in range(3)] == [public] * 3
    assert bodies(route) == [{"course_id": str(COURSE)}]


async def test_many_who_ask_at_once_are_one_question(node: AskingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", POSTERS, said(0))
    assert await asyncio.gather(*(node.shows() for _ in range(50))) == [True] * 50
    assert route.call_count == 1


async def test_of_many_courses_only_a_few_are_asked_about_at_once(node: AskingNode, made_up: MadeUpVps) -> None:
    under_way, most = 0, 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.01)
        under_way -= 1
        return made_up.signed(request, response_of(said(0)))

    made_up.does("POST", POSTERS, answer)
    assert all(await asyncio.gather(*(node.shows(uuid4()) for _ in range(20))))
    assert most <= AT_ONCE


@pytest.mark.parametrize("kind", ["course_published", "course_unpublished", "course_deleted", "something new"])
async def test_whatever_is_told_about_the_course_has_it_asked_about_again(
    node: AskingNode, made_up: MadeUpVps, kind: str
) -> None:
    made_up.answers("POST", POSTERS, said(0), said(3, public=False))
    assert await node.shows()
    await node.is_told(3, kind, course=COURSE)
    assert not await node.shows()


@pytest.mark.parametrize(
    "about",
    [{"course": TEACHER}, {"user": USER, "course": COURSE}, {"user": USER}, {"course": COURSE, "video": VIDEO}],
)
async def test_what_is_about_others_has_nobody_asked(
    node: AskingNode, made_up: MadeUpVps, about: dict[str, Any]
) -> None:
    route = made_up.answers("POST", POSTERS, said(0))
    assert await node.shows()
    await node.is_told(3, "key_refunded", **about)
    assert await node.shows()
    assert route.call_count == 1


async def test_it_is_over_as_soon_as_that_is_heard_of(node: AskingNode, made_up: MadeUpVps) -> None:
    """However long what else was told with it takes."""
    made_up.answers("POST", POSTERS, said(0), said(3, public=False))
    assert await node.shows()
    node.rights.hear([change(3, "course_unpublished", course=COURSE)])
    assert not await node.shows()


async def test_it_stays_over_when_what_was_heard_is_long_forgotten(
    node: AskingNode, made_up: MadeUpVps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which changes there were is remembered for a minute or two only."""
    monkeypatch.setattr(marks, "KEPT_S", -1.0)
    made_up.answers("POST", POSTERS, said(0), said(5, public=False))
    assert await node.shows()
    await node.is_told(3, "course_unpublished", course=COURSE)
    for number in (4, 5):
        await node.is_told(number, "course_unpublished", course=uuid4())
    assert not await node.shows()


async def test_an_answer_that_was_overtaken_by_a_change_is_asked_for_again(
    node: AskingNode, made_up: MadeUpVps
) -> None:
    await node.is_told(3, "course_unpublished", course=COURSE)
    route = made_up.answers("POST", POSTERS, said(2), said(3, public=False))
    assert not await node.shows()
    assert route.call_count == 2


async def test_what_was_said_in_another_epoch_counts_no_more(node: AskingNode, made_up: MadeUpVps) -> None:
    made_up.answers("POST", POSTERS, said(9), said(1, public=False, epoch=TEACHER))
    assert await node.shows()
    await node.rights.reset(position(1, TEACHER), MARK)
    assert not await node.shows()


async def test_after_a_reset_nothing_is_known(node: AskingNode, made_up: MadeUpVps) -> None:
    made_up.answers("POST", POSTERS, said(0), said(0, public=False))
    assert await node.shows()
    node.published.forget()
    assert not await node.shows()


async def test_while_the_vps_is_away_what_is_known_holds_for_as_long_as_watching_does(
    node: AskingNode, made_up: MadeUpVps
) -> None:
    made_up.answers("POST", POSTERS, said(0), httpx.ConnectError("down"))
    assert await node.shows()
    await node.is_up_to_date(since_s=TRUSTED_S - 60)
    assert await node.shows()
    assert not await node.shows(uuid4())
    await node.is_up_to_date(since_s=TRUSTED_S + 1)
    assert not await node.shows()


async def test_who_does_not_answer_is_left_alone_for_a_while(
    node: AskingNode, made_up: MadeUpVps, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = made_up.answers("POST", POSTERS, httpx.ConnectError("down"), said(0))
    assert [await node.shows(uuid4()) for _ in range(20)] == [False] * 20
    assert route.call_count == 1
    monkeypatch.setattr(keeping, "PAUSE_S", 0.0)
    assert await node.shows()
