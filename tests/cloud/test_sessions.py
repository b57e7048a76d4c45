"""A session that has ended: its tokens are refused, what was begun with it ends, and the user's others go on."""

import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import httpx
import pytest

from cloud_service.access import sessions as keeping
from cloud_service.access.models import Viewer
from cloud_service.access.rights import Rights
from cloud_service.access.sessions import KEPT_S
from cloud_service.clock import boot, uptime
from cloud_service.db import Database
from cloud_service.schema import MIGRATIONS
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps, VpsUnreachable
from shared.contract import ACCESS, STANDING
from shared.problems import NotAuthenticated
from shared.tokens import ACCESS_LIFE_AT_MOST_S, sign_access
from tests.cloud.deciding import DecidingNode
from tests.cloud.made_up import MadeUpVps, bodies
from tests.cloud.running import ACCESS_KEY, Answering, RunningNode, a_video, eventually, opened, running_node, store
from tests.cloud.things import COURSE, EPOCH, MARK, USER, allowed, change, denied, grant, position, standing, video

pytestmark = [pytest.mark.anyio, pytest.mark.settings(feed_wait_s=0.5, trust_starting_s=60)]

PHONE, LAPTOP = uuid4(), uuid4()
VIDEO = a_video()


def viewer(session: UUID | None, user: UUID = USER) -> Viewer:
    return Viewer(str(user), 0, 2**40, "sara", str(session) if session else "")


def bearer(session: UUID | None) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign_access(ACCESS_KEY, USER, 'sara', 'student', 60, session_id=session)}"}


# --- a whole node -----------------------------------------------------------------------------------------------


@pytest.fixture
def answering(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@asynccontextmanager
async def started(settings: CloudSettings) -> AsyncIterator[RunningNode]:
    async with running_node(settings) as running:
        await eventually(lambda: is_up_to_date(running))
        yield running


@pytest.fixture
async def stored(settings: CloudSettings, answering: Answering) -> CloudSettings:
    async with opened(settings) as node:
        await store(node, VIDEO)
    return settings


@pytest.fixture
async def running(stored: CloudSettings) -> AsyncIterator[RunningNode]:
    async with started(stored) as running:
        yield running


def is_up_to_date(running: RunningNode) -> bool:
    node = running.node
    return node is not None and node.catalogue.is_confirmed and node.rights.position is not None


async def watch(running: RunningNode, session: UUID | None) -> int:
    return (await running.get(f"/videos/{VIDEO.id}/stream", headers=bearer(session))).status_code


async def begin(running: RunningNode, session: UUID | None) -> str:
    """The path of its link."""
    began = await running.send("POST", f"/videos/{VIDEO.id}/playback", USER, headers=bearer(session))
    assert began.status_code == 201, began.text
    path: str = urlsplit(began.json()["mp4"][0]["url"]).path
    return path


async def follow(running: RunningNode, link: str) -> int:
    return (await running.get(link, headers={"Authorization": ""})).status_code


async def end(answering: Answering, running: RunningNode, session: UUID) -> None:
    number = len(answering.changes) + 1
    answering.changes.append(change(number, "session_ended", user=USER, session=session))
    await eventually(lambda: running.node and running.node.rights.position == position(number))


async def test_what_was_begun_with_it_ends_and_what_with_another_goes_on(
    running: RunningNode, answering: Answering
) -> None:
    links = {session: await begin(running, session) for session in (PHONE, LAPTOP)}
    assert [await follow(running, link) for link in links.values()] == [200, 200]
    asked = len(answering.told(ACCESS))
    await end(answering, running, PHONE)
    assert [await watch(running, session) for session in (PHONE, LAPTOP, None)] == [401, 200, 200]
    assert [await follow(running, link) for link in links.values()] == [410, 200]
    refused = await running.send("POST", f"/videos/{VIDEO.id}/playback", USER, headers=bearer(PHONE))
    assert refused.json()["code"] == "not_authenticated"
    assert len(answering.told(ACCESS)) == asked  # of the other device everything is still known


async def test_the_vps_is_told_that_the_playback_is_over_and_why(running: RunningNode, answering: Answering) -> None:
    await follow(running, await begin(running, PHONE))
    await end(answering, running, PHONE)

    def ends() -> list[str | None]:
        return [event["about"]["end"] for event in answering.told("/internal/events") if "end" in event["about"]]

    await eventually(lambda: ends()[-1:] == ["signed_out"])
    assert running.node is not None
    assert await running.node.database.fetch("SELECT * FROM playbacks") == []


async def test_a_node_that_begins_anew_refuses_it_too_while_the_vps_is_away(
    stored: CloudSettings, answering: Answering
) -> None:
    async with started(stored) as running:
        link = await begin(running, LAPTOP)
        await end(answering, running, PHONE)
    answering.away = True
    async with running_node(stored) as again:
        assert [await watch(again, session) for session in (PHONE, LAPTOP)] == [401, 200]
        assert await follow(again, link) == 200


async def test_what_was_begun_before_a_restart_ends_after_it(stored: CloudSettings, answering: Answering) -> None:
    async with started(stored) as running:
        link = await begin(running, PHONE)
    answering.changes_fail = True
    async with running_node(stored) as again:
        assert await follow(again, link) == 200
        answering.changes_fail = False
        await end(answering, again, PHONE)
        assert await follow(again, link) == 410


# --- what is remembered, and what is asked ----------------------------------------------------------------------


@pytest.fixture
async def node(database: Database, vps: Vps, settings: CloudSettings) -> DecidingNode:
    node = DecidingNode(database, vps, settings)
    await node.is_up_to_date()
    return node


async def test_after_a_reset_no_session_is_let_in_by_what_another_was_told(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    """Whether it ended meanwhile, the node cannot know."""
    route = made_up.answers("POST", ACCESS, allowed(0), denied(0, "signed_out"))
    await node.watches(viewer(LAPTOP))
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            await node.watches(viewer(PHONE))
    await node.watches(viewer(LAPTOP))
    assert [asked["session_id"] for asked in bodies(route)] == [str(LAPTOP), *[str(PHONE)] * 3]


async def test_after_a_reset_each_session_is_asked_about_once_and_none_without_a_name(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    route = made_up.answers("POST", ACCESS, allowed(0))
    for session in (LAPTOP, PHONE, LAPTOP, None, PHONE, None):
        await node.watches(viewer(session))
    assert [asked["session_id"] for asked in bodies(route)] == [str(LAPTOP), str(PHONE)]


async def test_a_start_ends_no_doubt_and_asks_nobody_twice(node: DecidingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", ACCESS, allowed(0), denied(0, "signed_out"))
    await node.watches(viewer(LAPTOP))
    again = await node.restarted()
    await again.watches(viewer(LAPTOP))
    with pytest.raises(NotAuthenticated):
        await again.watches(viewer(PHONE))
    assert [asked["session_id"] for asked in bodies(route)] == [str(LAPTOP), str(PHONE)]


async def test_once_every_token_of_before_has_expired_none_is_in_doubt(
    node: DecidingNode, made_up: MadeUpVps, monkeypatch: pytest.MonkeyPatch
) -> None:
    route = made_up.answers("POST", ACCESS, allowed(0))
    await node.watches(viewer(LAPTOP))
    began = uptime()
    for later_s in (KEPT_S - 60, KEPT_S + 60):
        monkeypatch.setattr(time, "clock_gettime", lambda _, now=began + later_s: now)
        for one in (node, await node.restarted()):
            await one.is_up_to_date()
            await one.watches(viewer(PHONE))
            await one.watches(viewer(uuid4()) if later_s > KEPT_S else viewer(PHONE))
    assert route.call_count == 3  # of the two nodes either asked about the phone


async def test_a_standing_that_is_kept_keeps_whom_the_vps_let_in_with_it(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    route = made_up.answers("POST", STANDING, standing(0, user_id=USER))
    await node.access.standing(viewer(LAPTOP), COURSE)
    await (await node.restarted()).access.standing(viewer(LAPTOP), COURSE)
    assert route.call_count == 1


async def test_a_second_reset_has_everybody_asked_about_again(node: DecidingNode, made_up: MadeUpVps) -> None:
    route = made_up.answers("POST", ACCESS, allowed(0))
    await node.watches(viewer(LAPTOP))
    await node.rights.reset(position(0), MARK)
    again = await node.restarted()
    await again.watches(viewer(LAPTOP))
    assert route.call_count == 2


async def test_while_the_vps_is_away_a_session_that_is_in_doubt_is_neither_let_in_nor_refused(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    await node.rights.remember(grant(), EPOCH)
    made_up.answers("POST", ACCESS, httpx.ConnectError("down"))
    with pytest.raises(VpsUnreachable):
        await node.watches(viewer(PHONE))


async def test_a_yes_that_comes_after_the_end_was_heard_of_lets_nobody_in(
    node: DecidingNode, made_up: MadeUpVps
) -> None:
    async def answer(request: httpx.Request) -> httpx.Response:
        await node.rights.apply([change(1, "session_ended", user=USER, session=PHONE)], position(1), MARK)
        return made_up.signed(request, httpx.Response(200, content=allowed(0).model_dump_json()))

    made_up.does("POST", ACCESS, answer)
    with pytest.raises(NotAuthenticated):
        await node.watches(viewer(PHONE))


async def test_an_end_takes_no_right_from_the_user(node: DecidingNode, made_up: MadeUpVps) -> None:
    await node.rights.remember(grant(), EPOCH)
    await node.rights.apply([change(1, "session_ended", user=USER, session=PHONE)], position(1), MARK)
    assert node.rights.grant_for(str(USER), video()) is not None
    with pytest.raises(NotAuthenticated):
        node.access.granted(viewer(PHONE), video())


async def test_a_standing_is_asked_for_each_session_that_is_in_doubt(node: DecidingNode, made_up: MadeUpVps) -> None:
    signed_out = standing(0, (), user_id=USER, is_teacher=False, verified=False, signed_out=True)
    route = made_up.answers("POST", STANDING, standing(0, user_id=USER), signed_out)
    for _ in range(2):
        assert (await node.access.standing(viewer(LAPTOP), COURSE)).verified
    with pytest.raises(NotAuthenticated):
        await node.access.standing(viewer(PHONE), COURSE)
    assert route.call_count == 2


async def test_an_end_is_remembered_for_longer_than_any_token_lives_and_then_forgotten(
    database: Database, rights: Rights
) -> None:
    assert KEPT_S > ACCESS_LIFE_AT_MOST_S
    for number, session in enumerate((PHONE, LAPTOP), start=1):
        await rights.apply([change(number, "session_ended", user=USER, session=session)], position(number), MARK)
        async with database.transaction() as transaction:
            old = "UPDATE ended_sessions SET ended_at = ended_at - ? WHERE id = ?"
            await transaction.execute(old, (keeping.KEPT_S + 1, str(PHONE)))
    found = Rights(database)
    await found.load()
    for one in (rights, found):
        assert [one.sessions.have_ended(str(session)) for session in (PHONE, LAPTOP)] == [False, True]


async def test_a_playback_of_the_release_before_goes_on_without_a_session(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(f"{''.join(MIGRATIONS[:6])} PRAGMA user_version = 6; PRAGMA journal_mode = WAL;")
        begun = "INSERT INTO playbacks (id, video_id, user_id, generation, has_original, boot, began_at) VALUES "
        old.execute(f"{begun} ('p', 'v', 'u', 0, 0, ?, ?)", (boot(), uptime()))
    database = await Database.open(path)
    try:
        assert [row["session_id"] for row in await database.fetch("SELECT session_id FROM playbacks")] == [""]
    finally:
        await database.close()
