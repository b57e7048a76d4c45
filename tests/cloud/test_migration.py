"""A node's file of the first release, taken over by this one: videos and announcements stay, what was cached goes."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cloud_service.access.rights import Rights
from cloud_service.db import FILE, Database
from cloud_service.opening import open_node
from cloud_service.outbox import Outbox
from cloud_service.processing import queue
from cloud_service.schema import FIRST, MIGRATIONS
from cloud_service.settings import CloudSettings
from cloud_service.videos.catalogue import Catalogue
from cloud_service.vps import Vps
from shared.contract import EVENTS
from tests.cloud.made_up import MadeUpVps, bodies
from tests.cloud.things import COURSE, USER, video

pytestmark = pytest.mark.anyio

FILM = video()
ROW = {
    "id": FILM.id,
    "lesson_id": FILM.lesson_id,
    "course_id": FILM.course_id,
    "owner_id": FILM.owner_id,
    "teacher_username": "omar",
    "size": 5,
    "sha256": "ab" * 32,
    "media_type": "video/mp4",
    "duration_s": 1.0,
    "width": 160,
    "height": 90,
    "stored_at": 0,
}
ABOUT = {
    "kind": "video_stored",
    "video_id": FILM.id,
    **{name: value for name, value in ROW.items() if name not in ("id", "teacher_username", "width", "height")},
    "stored_at": "1970-01-01T00:00:00Z",
}


def make_first_release(path: Path) -> dict[str, Any]:
    """A file as the first release left it, with one of everything; the event in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    event = {"id": str(uuid4()), "about": ABOUT}
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(f"{FIRST} PRAGMA user_version = 1; PRAGMA journal_mode = WAL;")
        old.execute(f"INSERT INTO videos ({', '.join(ROW)}) VALUES ({', '.join('?' * len(ROW))})", [*ROW.values()])
        old.execute("INSERT INTO deleted_videos VALUES ('v0', 'omar')")
        old.execute("INSERT INTO uploads VALUES ('u1', 'lesson', 'omar')")
        old.execute("INSERT INTO outbox (event) VALUES (?)", (json.dumps(event),))
        old.execute("INSERT INTO outbox (event, set_aside) VALUES (?, '422 no')", (json.dumps(event),))
        old.execute("INSERT INTO grants VALUES (?, ?, '', 'omar', 'key', 7)", (str(USER), str(COURSE)))
        old.execute("INSERT INTO ended VALUES ('', ?, '', 3)", (str(COURSE),))
        old.execute("INSERT INTO teachers VALUES ('omar', '{}')")
        remembered = {"feed_epoch": str(uuid4()), "feed_position": "7", "feed_pulled_at": "1.0", "jwks": '{"keys": []}'}
        old.executemany("INSERT INTO remembered VALUES (?, ?)", remembered.items())
    return event


async def test_a_file_of_the_first_release_becomes_one_of_this(path: Path) -> None:
    make_first_release(path)
    database = await Database.open(path)
    try:
        assert [row[0] for row in await database.fetch("PRAGMA user_version")] == [len(MIGRATIONS)]
        fresh = await Database.open(path.with_name("fresh.sqlite3"))
        try:
            schema = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
            columns = "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c ORDER BY 1, 2"
            for question in (schema, columns):
                assert list(map(tuple, await database.fetch(question))) == list(map(tuple, await fresh.fetch(question)))
        finally:
            await fresh.close()
    finally:
        await database.close()


async def test_videos_stay_and_need_not_be_confirmed(path: Path) -> None:
    make_first_release(path)
    database = await Database.open(path)
    try:
        catalogue = Catalogue(database)
        assert await catalogue.is_whole()
        await catalogue.load()
        assert (list(catalogue), catalogue.is_confirmed, catalogue.get(FILM.id)) == ([FILM], True, FILM)
        assert [tuple(row) for row in await database.fetch("SELECT video_id, owner_id FROM jobs")] == [
            (FILM.id, FILM.owner_id)
        ]  # it is processed like any other
    finally:
        await database.close()


async def test_a_video_from_before_is_said_to_play_if_its_kind_of_file_does(path: Path) -> None:
    """Until it is processed, and somebody looks into it: it comes after what was uploaded since."""
    make_first_release(path)
    kinds = ("video/mp4", "video/webm", "video/quicktime", "video/x-matroska", "video/x-msvideo", "video/mp2t")
    with closing(sqlite3.connect(path)) as old, old:
        for number, kind in enumerate(kinds):
            row = ROW | {"id": f"v{number}", "lesson_id": f"l{number}", "media_type": kind}
            old.execute(f"INSERT INTO videos ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])
    database = await Database.open(path)
    try:
        rows = await database.fetch("SELECT media_type, plays FROM videos WHERE id != ? ORDER BY id", (FILM.id,))
        assert [tuple(row) for row in rows] == list(zip(kinds, (1, 1, 0, 0, 0, 0), strict=True))
        async with database.transaction() as transaction:
            since = "INSERT INTO jobs (video_id, owner_id, added_at) VALUES ('new', ?, unixepoch())"
            await transaction.execute(since, (FILM.owner_id,))
        async with database.transaction() as transaction:
            job = await queue.take(transaction, 60)
        assert job
        assert job.video_id == "new"
    finally:
        await database.close()


async def test_what_was_cached_is_asked_for_again(path: Path) -> None:
    """It knows of no generation, and a position without a mark is none."""
    make_first_release(path)
    database = await Database.open(path)
    try:
        rights = Rights(database)
        await rights.load()
        assert (len(rights), rights.position) == (0, None)
        for table in ("grants", "teachers"):
            assert await database.fetch(f"SELECT * FROM {table}") == []
    finally:
        await database.close()


async def test_whether_what_is_remembered_may_be_kept_too_is_asked_again_where_that_can_be(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as old, old:
        old.executescript(f"{''.join(MIGRATIONS[:4])} PRAGMA user_version = 4; PRAGMA journal_mode = WAL;")
        for via in ("owner", "key", "review", "preview", "shared", "public"):
            old.execute("INSERT INTO grants VALUES (?, ?, '', 'omar', ?, 7, 0)", (f"who has {via}", str(COURSE), via))
    database = await Database.open(path)
    try:
        kept = await database.fetch("SELECT via, may_download FROM grants ORDER BY via")
        assert [tuple(row) for row in kept] == [("owner", 1), ("preview", 0), ("public", 0), ("shared", 0)]
    finally:
        await database.close()


async def test_announcements_stay_with_the_video_they_are_about(path: Path, vps: Vps, made_up: MadeUpVps) -> None:
    event = make_first_release(path)
    route = made_up.answers("POST", EVENTS, {"verdict": "applied"})
    database = await Database.open(path)
    try:

        async def unheard(*_: str) -> None: ...

        outbox = Outbox(database, vps, unheard, unheard)
        backlog = await outbox.backlog()
        assert (backlog.depth, backlog.set_aside, backlog.age_s < 10) == (1, 1, True)
        rows = await database.fetch("SELECT DISTINCT video_id FROM outbox")
        assert [row["video_id"] for row in rows] == [FILM.id]
        await outbox.deliver()
        (sent,) = bodies(route)
        assert sent["id"] == event["id"]
        assert sent["about"] == json.loads(FILM.announcement().model_dump_json())
    finally:
        await database.close()


async def test_a_node_that_starts_on_it_serves_its_videos_and_writes_their_rows_beside_them(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    make_first_release(settings.folder / FILE)
    place = settings.folder / "media" / "videos" / FILM.owner_id / FILM.id
    place.mkdir(parents=True)
    (place / "original").write_bytes(b"bytes")
    node = await open_node(settings)
    try:
        assert node.catalogue.get(FILM.id) == FILM
        assert (place / "original").read_bytes() == b"bytes"
        assert node.store.read_rows() == [FILM]
    finally:
        await node.vps.close()
        await node.database.close()


async def test_a_first_release_that_somebody_holds_is_not_set_aside(settings: CloudSettings) -> None:
    """A backup is running while the new release starts: nothing is wrong with the file."""
    path = settings.folder / FILE
    make_first_release(path)
    place = settings.folder / "media" / "videos" / FILM.owner_id / FILM.id
    place.mkdir(parents=True)
    (place / "original").write_bytes(b"bytes")
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError):
            node = await open_node(settings)
            await node.vps.close()
            await node.database.close()
    assert (place / "original").exists()
    assert list(path.parent.glob("*.broken-*")) == []
