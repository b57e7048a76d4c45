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

from cloud_service.schema import MIGRATIONS

log = logging.getLogger(__name__)

FILE = "node.sqlite3"
MAKES, JOINS = "rwc", "rw"
"""How SQLite is to open the file (https://www.sqlite.org/uri.html)."""
DAMAGE = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
"""Result codes that speak of what is in the file. A lock, a full disk or too many open files are no damage."""
PRIVATE, PASSED_THROUGH = 0o600, 0o711
"""Modes of the file, and of a folder in which an edge of another user finds the videos."""
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
        path.parent.mkdir(PASSED_THROUGH, parents=True, exist_ok=True)
        _make_private(path)
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
            await to_its_end(self._writer.execute("BEGIN IMMEDIATE"))
            yield
            await to_its_end(self._commit(transaction))
        except BaseException:
            if self._writer.in_transaction:
                await to_its_end(self._writer.execute("ROLLBACK"))
            raise

    async def _set_durable(self, durable: bool) -> None:
        if durable is not self._durable:
            await self._writer.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._durable = durable

    async def _commit(self, transaction: Transaction) -> None:
        await self._writer.execute("COMMIT")
        for hook in transaction.commit_hooks:
            hook()


def _make_private(path: Path) -> None:
    """It holds what links are signed with. What SQLite lays beside it gets the same mode."""
    path.touch(PRIVATE)
    for suffix in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError, PermissionError):
            path.with_name(path.name + suffix).chmod(PRIVATE)


async def to_its_end(step: Awaitable[Any]) -> None:
    """Even when the task is cancelled meanwhile: half a transaction would hold up the next one."""
    running = asyncio.ensure_future(step)
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # nobody else will ask for it
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
