"""How long playbacks last, and what is kept of them: in memory and over a restart of the node."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from cloud_service.access.models import Viewer
from cloud_service.clock import uptime
from cloud_service.db import FILE, Database
from cloud_service.playback import playbacks as keeping
from cloud_service.playback.models import Lives, Playback, State
from cloud_service.playback.playbacks import KEEP_EVERY_S, MOVED_KEPT, Playbacks
from cloud_service.playback.secrets import PlaybackSecrets
from cloud_service.playback.tokens import Claims, NoToken, OutdatedToken, read, sign

pytestmark = pytest.mark.anyio

LIVES = Lives(open_within_s=600, idle_s=3600, in_all_s=43_200)
VIEWER = Viewer(str(uuid4()), 0, 0)
VIDEO = str(uuid4())
NODE = "node-1"


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    database = await Database.open(tmp_path / FILE)
    yield database
    await database.close()


async def begun(playbacks: Playbacks, ago_s: float = 0, used_ago_s: float | None = None) -> Playback:
    """As if it had begun so long ago."""
    playback = await playbacks.begin(VIEWER, VIDEO, has_original=False)
    playback.began_at -= ago_s
    async with playbacks._database.transaction() as transaction:
        moment = "UPDATE playbacks SET began_at = ? WHERE id = ?"
        await transaction.execute(moment, (playback.began_at, playback.id))
    if used_ago_s is not None:
        playbacks.use(playback, uptime() - used_ago_s)
    return playback


async def again(database: Database, at_once: int = 2) -> Playbacks:
    """As a node finds them that begins anew."""
    playbacks = Playbacks(database, LIVES, at_once)
    await playbacks.load()
    return playbacks


@pytest.mark.parametrize(
    ("began_ago_s", "used_ago_s", "state"),
    [
        (0, None, "live"),
        (599, None, "live"),
        (600, None, "expired"),
        (601, 1, "live"),
        (4000, 3599, "live"),
        (4000, 3600, "expired"),
        (43_199, 1, "live"),
        (43_200, 0, "expired"),
    ],
)
def test_a_playback_is_opened_soon_used_now_and_then_and_ends(
    began_ago_s: float, used_ago_s: float | None, state: State
) -> None:
    now = 1e6
    used_at = None if used_ago_s is None else now - used_ago_s
    assert Playback("", VIDEO, VIEWER, now - began_ago_s, used_at).state(now, LIVES) == state


async def test_what_is_over_is_forgotten_and_what_has_moved_only_when_its_links_would_have_ended(
    database: Database,
) -> None:
    playbacks = Playbacks(database, LIVES, at_once=1)
    old, idle = await begun(playbacks, 43_200, 1), await begun(playbacks, 5000, 4000)
    moved, live = await begun(playbacks, 5000, 4000), await begun(playbacks)
    assert [one.has_moved for one in (old, idle, moved, live)] == [False, False, False, False]
    later = await begun(playbacks)
    await playbacks.forget_expired()
    assert [playbacks.get(one.id) is not None for one in (old, idle, moved, live, later)] == [
        *(False, False, False, True, True)
    ]
    assert live.state(uptime(), LIVES) == "moved"
    assert len(await again(database)) == 2


async def test_a_user_who_begins_over_and_over_is_remembered_no_more_than_a_few_times(database: Database) -> None:
    playbacks = Playbacks(database, LIVES, at_once=2)
    every = [await begun(playbacks) for _ in range(MOVED_KEPT + 5)]
    assert len(playbacks) == MOVED_KEPT + 2
    assert playbacks.get(every[0].id) is None
    assert len(await again(database)) == MOVED_KEPT + 2


async def test_uses_are_kept_and_those_that_could_not_be_are_kept_the_next_time(
    database: Database, tmp_path: Path
) -> None:
    playbacks = Playbacks(database, LIVES, at_once=2)
    playback = await begun(playbacks, 4000, 10)
    async with database.transaction() as transaction:
        await transaction.execute("ALTER TABLE playbacks RENAME TO elsewhere")
    with pytest.raises(sqlite3.OperationalError):
        await playbacks.keep_uses()
    async with database.transaction() as transaction:
        await transaction.execute("ALTER TABLE elsewhere RENAME TO playbacks")
    assert (await again(database)).get(playback.id) is None  # nobody has opened it, as far as is known
    await playbacks._write_new(playback, (), ())
    await playbacks.keep_uses()
    kept = (await again(database)).get(playback.id)
    assert kept is not None
    assert kept.used_at == playback.used_at


async def test_a_first_use_that_a_crash_forgot_is_believed_for_a_while(database: Database) -> None:
    playbacks = Playbacks(database, LIVES, at_once=2)
    opened = await begun(playbacks, LIVES.open_within_s + KEEP_EVERY_S / 2)
    never = await begun(playbacks, LIVES.open_within_s + KEEP_EVERY_S + 1)
    found = await again(database)
    assert (found.get(opened.id) is not None, found.get(never.id)) == (True, None)


async def test_another_start_of_the_machine_ends_them(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    await begun(Playbacks(database, LIVES, at_once=2))
    monkeypatch.setattr(keeping, "boot", lambda: "another")
    assert len(await again(database)) == 0


async def test_links_of_the_last_secret_hold_and_those_of_the_one_before_are_outdated(database: Database) -> None:
    secrets = PlaybackSecrets(database, NODE, replaced_after_s=0)
    await secrets.load()
    claims = Claims(VIDEO, str(uuid4()), 2_000_000_000)
    tokens = [sign(secrets.live[0], claims)]
    for _ in range(2):
        await secrets.replace_when_due()
        tokens.append(sign(secrets.live[0], claims))
    assert [read(secrets.live, token) for token in tokens[1:]] == [claims, claims]
    with pytest.raises(OutdatedToken):
        read(secrets.live, tokens[0])
    kept = PlaybackSecrets(database, NODE, replaced_after_s=3600)
    await kept.load()
    assert kept.live == secrets.live


async def test_secrets_of_another_database_are_others(tmp_path: Path) -> None:
    tokens, live = [], []
    for name in ("one", "other"):
        database = await Database.open(tmp_path / name)
        secrets = PlaybackSecrets(database, NODE, replaced_after_s=3600)
        await secrets.load()
        live.append(secrets.live)
        tokens.append(sign(secrets.live[0], Claims(VIDEO, str(uuid4()), 2_000_000_000)))
        await database.close()
    with pytest.raises(NoToken):
        read(live[1], tokens[0])


async def test_a_copy_of_the_database_is_of_no_use_to_another_node(database: Database) -> None:
    own = PlaybackSecrets(database, NODE, replaced_after_s=3600)
    await own.load()
    claims = Claims(VIDEO, str(uuid4()), 2_000_000_000)
    token = sign(own.live[0], claims)
    for node, holds in ((NODE, True), ("node-2", False)):
        found = PlaybackSecrets(database, node, replaced_after_s=3600)
        await found.load()
        assert [secret.number for secret in found.live] == [secret.number for secret in own.live]
        if holds:
            assert read(found.live, token) == claims
        else:
            with pytest.raises(NoToken):
                read(found.live, token)
