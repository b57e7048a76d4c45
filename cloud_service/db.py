"""The node's SQLite: one writer behind a lock, one reader beside it.

Two coroutines on one connection would share a transaction, so writes queue for `Database.transaction`. What the
rest of the node keeps in memory is changed by `Transaction.on_commit`, still under the lock: memory and file
change in the same order.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite

log = logging.getLogger(__name__)

FILE = "node.sqlite3"
MAKES, JOINS = "rwc", "rw"
"""How SQLite is to open the file (https://www.sqlite.org/uri.html)."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Result codes that speak of what is in the file. A lock, a full disk or too many open files are no damage."""

FIRST = """
-- The node's own rows.
CREATE TABLE videos (
    id TEXT PRIMARY KEY,
    lesson_id TEXT NOT NULL UNIQUE,
    course_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    teacher_username TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    duration_s REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;
CREATE TABLE deleted_videos (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL) STRICT;
CREATE TABLE uploads (id TEXT PRIMARY KEY, lesson_id TEXT NOT NULL UNIQUE, owner_id TEXT NOT NULL) STRICT;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    set_aside TEXT
) STRICT;

-- What the VPS told us. Losing these four loses nothing but time.
CREATE TABLE grants (
    user_id TEXT NOT NULL,
    course_id TEXT NOT NULL,
    video_id TEXT NOT NULL, -- '' for every video of the course
    teacher_username TEXT NOT NULL,
    via TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (user_id, course_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_course ON grants (course_id, teacher_username);
-- Up to which version rights with these ids (each one, or '' for whichever) have ended.
CREATE TABLE ended (
    user_id TEXT NOT NULL,
    course_id TEXT NOT NULL,
    video_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (user_id, course_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE teachers (user_id TEXT PRIMARY KEY, answer TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE remembered (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
SECOND = """
DROP TABLE ended;
DELETE FROM remembered;
DELETE FROM grants;
DELETE FROM teachers;
ALTER TABLE grants ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- of the token that it was given to
ALTER TABLE teachers ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
DROP TABLE deleted_videos;
CREATE TABLE deleted_courses (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
ALTER TABLE outbox ADD COLUMN video_id TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN added_at INTEGER NOT NULL DEFAULT 0; -- Unix seconds
ALTER TABLE outbox ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- answers that were no answer
UPDATE outbox SET video_id = json_extract(event, '$.about.video_id'), added_at = unixepoch();
"""
THIRD = """
CREATE TABLE videos_now (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('course', 'practice', 'file')),
    title TEXT NOT NULL,
    lesson_id TEXT NOT NULL, -- '' for a practice video
    course_id TEXT NOT NULL, -- a practice video's owner
    owner_id TEXT NOT NULL,
    teacher_username TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    duration_s REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    plays INTEGER NOT NULL,
    replaces TEXT NOT NULL, -- '' for none
    status TEXT NOT NULL CHECK (status IN ('processing', 'ready', 'error')),
    reason TEXT NOT NULL,
    renditions TEXT NOT NULL, -- JSON
    stored_at INTEGER NOT NULL
) STRICT;
INSERT INTO videos_now
    SELECT id, 'course', '', lesson_id, course_id, owner_id, teacher_username, size, sha256, media_type, duration_s,
           width, height, 1, '', 'processing', '', '[]', stored_at FROM videos;
DROP TABLE videos;
ALTER TABLE videos_now RENAME TO videos;
-- One video plays in a lesson, one may be on its way to take its place.
CREATE UNIQUE INDEX videos_of_lesson ON videos (lesson_id, replaces) WHERE kind = 'course';

-- Uploads in one request, while they last. A place takes one at a time: a lesson, or whatever else was named.
DROP TABLE uploads;
CREATE TABLE uploads (id TEXT PRIMARY KEY, place TEXT NOT NULL UNIQUE, owner_id TEXT NOT NULL) STRICT;

-- Uploads that can be resumed, until they expire. How far each one is, its part in the media folder tells.
CREATE TABLE resumable_uploads (
    id TEXT PRIMARY KEY, -- the video's, later on
    owner_id TEXT NOT NULL,
    length INTEGER NOT NULL,
    metadata TEXT NOT NULL, -- as the client sent it
    created_at INTEGER NOT NULL,
    sure_bytes INTEGER, -- while more than these are being checked: what a crash leaves of it
    idempotency_key TEXT, -- that it was begun with
    UNIQUE (owner_id, idempotency_key)
) STRICT;

CREATE TABLE idempotency_keys (
    owner_id TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL, -- what it was first sent with, but for the body
    video_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (key)
) STRICT, WITHOUT ROWID;

CREATE TABLE captions (
    video_id TEXT NOT NULL,
    language TEXT NOT NULL, -- BCP 47
    size INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (video_id, language)
) STRICT, WITHOUT ROWID;

-- What the workers have to do, and who of them is at it.
CREATE TABLE jobs (
    video_id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0, -- seconds of uptime, as all times of leases
    lease TEXT,
    leased_until REAL NOT NULL DEFAULT 0,
    boot TEXT NOT NULL DEFAULT '', -- since which start of the machine its times count
    step TEXT NOT NULL DEFAULT '', -- as far as its worker has come with it
    percent INTEGER NOT NULL DEFAULT 0,
    speed REAL NOT NULL DEFAULT 0, -- seconds of video a second
    log TEXT NOT NULL DEFAULT '[]' -- JSON, one entry a step
) STRICT;
INSERT INTO jobs (video_id, owner_id, added_at) SELECT id, owner_id, stored_at FROM videos;
-- What was done about videos that wait no more.
CREATE TABLE processed (video_id TEXT PRIMARY KEY, log TEXT NOT NULL) STRICT;
-- When each owner last had a turn: whoever waited longest is next.
CREATE TABLE turns (owner_id TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
-- Which videos the workers changed; the node looks here, and puts what it reads into its memory.
CREATE TABLE news (number INTEGER PRIMARY KEY AUTOINCREMENT, video_id TEXT NOT NULL) STRICT;
"""
MIGRATIONS = (FIRST, SECOND, THIRD)
"""Each brings the file from one schema version (PRAGMA user_version) to the next. None that was released may change."""
CACHE_TABLES = ("grants", "teachers", "deleted_courses")
WHOLE = "whole"
"""Remembered once the rows stand for what is on the disk; without it they have to be made from there first."""


def is_damage(error: sqlite3.Error) -> bool:
    """Of extended result codes the low byte is the one that counts."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF in DAMAGE


def is_locked(error: sqlite3.Error) -> bool:
    """Somebody else has held the write lock for longer than is waited."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_OK) & 0xFF == sqlite3.SQLITE_BUSY


class NewerSchema(Exception):
    """The file was written by a later release."""


class OtherSchema(Exception):
    """The file is not, or not yet, of this release."""


class Transaction:
    """One write transaction; `on_commit` is called after the commit, before anybody else may write."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection
        self.commit_hooks: list[Callable[[], None]] = []

    async def execute(self, sql: str, values: Iterable[Any] = ()) -> int:
        """The number of rows that changed."""
        async with self._connection.execute(sql, values) as cursor:
            return cursor.rowcount

    async def execute_many(self, sql: str, values: Sequence[Iterable[Any]]) -> None:
        if values:
            await self._connection.executemany(sql, values)

    async def fetch(self, sql: str, values: Iterable[Any] = ()) -> list[aiosqlite.Row]:
        return list(await self._connection.execute_fetchall(sql, values))

    def on_commit(self, hook: Callable[[], None]) -> None:
        self.commit_hooks.append(hook)


class Database:
    """`broken` is set once the file is found damaged, or is not there any more."""

    def __init__(self, path: Path, writer: aiosqlite.Connection, reader: aiosqlite.Connection) -> None:
        self.path = path
        self.inode = path.stat().st_ino
        self._writer, self._reader = writer, reader
        self._lock = asyncio.Lock()
        self._durable = False
        self.broken = asyncio.Event()
        self._is_closed = False

    @classmethod
    async def open(cls, path: Path) -> "Database":
        """Raises sqlite3.DatabaseError for a file that is damaged, NewerSchema for one of a later release."""
        path.parent.mkdir(parents=True, exist_ok=True)
        return await cls._opened(path, MAKES, _migrate)

    @classmethod
    async def join(cls, path: Path) -> "Database":
        """A file that another process made and keeps. Raises sqlite3.Error, OSError, or OtherSchema until it has."""
        return await cls._opened(path, JOINS, _check_is_ours)

    @classmethod
    async def _opened(
        cls, path: Path, mode: str, prepare: Callable[[aiosqlite.Connection], Awaitable[None]]
    ) -> "Database":
        writer = await _connect(path, mode)
        try:
            await prepare(writer)
            reader = await _connect(path, JOINS)
        except BaseException:
            await writer.close()
            raise
        await reader.execute("PRAGMA query_only = ON")
        return cls(path, writer, reader)

    def is_there(self) -> bool:
        """SQLite goes on writing into a file that was deleted or replaced under it."""
        try:
            return self.path.stat().st_ino == self.inode
        except OSError:
            return False

    def _check_open(self) -> None:
        """Raises sqlite3.OperationalError for whoever still holds on to a database that was replaced."""
        if self._is_closed:
            raise sqlite3.OperationalError("the database is closed")

    async def close(self) -> None:
        """Waits for the transaction under way."""
        async with self._lock:
            self._is_closed = True
            await self._reader.close()
            await self._writer.close()

    async def fetch(self, sql: str, values: Iterable[Any] = ()) -> list[aiosqlite.Row]:
        """Rows as of the last commit."""
        self._check_open()
        with self._noticing_damage():
            return list(await self._reader.execute_fetchall(sql, values))

    @contextmanager
    def _noticing_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if is_damage(error):
                log.error("the database is damaged", extra={"reason": str(error)})
                self.broken.set()
            raise

    @asynccontextmanager
    async def transaction(self, *, durable: bool = False) -> AsyncIterator[Transaction]:
        """Everything inside is committed together at the end, or not at all.

        `durable` waits for the disk, so that the commit survives a power cut; the cache does without, and a power
        cut costs it its newest entries together with the feed's position.
        """
        async with self._lock:
            self._check_open()
            transaction = Transaction(self._writer)
            with self._noticing_damage():
                async with self._committed(transaction, durable):
                    yield transaction

    @asynccontextmanager
    async def _committed(self, transaction: Transaction, durable: bool) -> AsyncIterator[None]:
        try:
            await self._set_durable(durable)
            await _to_its_end(self._writer.execute("BEGIN IMMEDIATE"))
            yield
            await _to_its_end(self._commit(transaction))
        except BaseException:
            if self._writer.in_transaction:
                await _to_its_end(self._writer.execute("ROLLBACK"))
            raise

    async def _set_durable(self, durable: bool) -> None:
        if durable is not self._durable:
            await self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    async def _commit(self, transaction: Transaction) -> None:
        await self._writer.execute("COMMIT")
        for hook in transaction.commit_hooks:
            hook()


async def _to_its_end(step: Awaitable[Any]) -> None:
    """Even when the task is cancelled meanwhile: half a transaction would hold up the next one."""
    running = asyncio.ensure_future(step)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


async def _connect(path: Path, mode: str) -> aiosqlite.Connection:
    address = f"file:{quote(str(path))}?mode={mode}"
    connection = await aiosqlite.connect(address, uri=True, isolation_level=None, timeout=5)
    try:
        connection.row_factory = aiosqlite.Row
        if mode == MAKES:  # the file keeps it; two that set it at once are in each other's way
            await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = NORMAL")
    except BaseException:
        await connection.close()
        raise
    return connection


def check_release(path: Path) -> None:
    """Raises NewerSchema. A file that is not there, or cannot be read, is somebody else's question."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        _check_version(version)


def _check_version(version: int) -> None:
    if version > len(MIGRATIONS):
        raise NewerSchema(f"the node's database has schema {version}, this release knows {len(MIGRATIONS)}")


async def _check_is_ours(connection: aiosqlite.Connection) -> None:
    """Raises OtherSchema."""
    async with connection.execute("PRAGMA user_version") as cursor:
        (version,) = await cursor.fetchone() or (0,)
    if version != len(MIGRATIONS):
        raise OtherSchema(f"the node's database has schema {version}, this release has {len(MIGRATIONS)}")


async def _migrate(connection: aiosqlite.Connection) -> None:
    """Raises NewerSchema."""
    async with connection.execute("PRAGMA user_version") as cursor:
        (version,) = await cursor.fetchone() or (0,)
    _check_version(version)
    for number, migration in enumerate(MIGRATIONS[version:], start=version + 1):
        await connection.executescript(f"BEGIN; {migration} PRAGMA user_version = {number}; COMMIT;")
    if 0 < version < len(MIGRATIONS):
        await connection.execute("INSERT OR IGNORE INTO remembered (name, value) VALUES (?, 'true')", (WHOLE,))
