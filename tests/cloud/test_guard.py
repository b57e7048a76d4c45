"""A node's database file that is damaged or gone is found out; one that is merely busy is left alone."""

import asyncio
import os
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cloud_service.db import Database
from cloud_service.guard import damage_of, set_aside, watch
from tests.faults import damage

pytestmark = pytest.mark.anyio

DAMAGES: dict[str, Callable[[Path], object]] = {
    "bytes flipped": damage.flip_bytes,
    "truncated": damage.truncate,
    "header overwritten": damage.overwrite_header,
    "emptied": lambda path: os.truncate(path, 0),
    "something else": lambda path: path.write_bytes(b"not a database" * 1000),
}


@pytest.fixture
async def filled(database: Database) -> Database:
    async with database.transaction(durable=True) as transaction:
        rows = [(str(number), "x" * 100) for number in range(2000)]
        await transaction.execute_many("INSERT INTO remembered VALUES (?, ?)", rows)
    await database.fetch("PRAGMA wal_checkpoint(TRUNCATE)")
    return database


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def test_nothing_is_wrong_with_a_good_file_or_with_none(filled: Database, path: Path) -> None:
    assert damage_of(path) is None
    assert damage_of(path.with_name("not there")) is None


@pytest.mark.parametrize("kind", DAMAGES)
async def test_damage_is_found(filled: Database, path: Path, kind: str) -> None:
    await filled.close()
    checkpoint(path)
    DAMAGES[kind](path)
    assert damage_of(path)


@pytest.mark.parametrize("lock", ["BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
async def test_a_busy_file_is_not_a_damaged_one(filled: Database, path: Path, lock: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute(lock)
        assert damage_of(path) is None


async def test_a_process_that_can_open_no_more_files_has_no_damaged_database(filled: Database, path: Path) -> None:
    """As under a flood of connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
    try:
        found = damage_of(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert found is None


async def until_broken(database: Database) -> None:
    watching = asyncio.ensure_future(watch(database))
    try:
        async with asyncio.timeout(10):
            await database.broken.wait()
            await watching
    finally:
        watching.cancel()


@pytest.mark.parametrize("gone", [Path.unlink, lambda path: path.rename(path.with_name("elsewhere"))])
async def test_a_file_that_is_gone_is_missed(filled: Database, path: Path, gone: Callable[[Path], object]) -> None:
    gone(path)
    await until_broken(filled)


async def test_a_file_that_was_replaced_is_not_ours(filled: Database, path: Path) -> None:
    """As by somebody who plays back a backup under a running node."""
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    copy.rename(path)
    await until_broken(filled)


@pytest.mark.parametrize("kind", ["bytes flipped", "header overwritten", "truncated"])
async def test_damage_under_a_running_node_is_noticed(filled: Database, path: Path, kind: str) -> None:
    checkpoint(path)
    DAMAGES[kind](path)
    await until_broken(filled)


async def test_a_reader_that_meets_the_damage_first_tells_of_it(filled: Database, path: Path) -> None:
    await filled.close()
    checkpoint(path)
    again = await Database.open(path)
    try:
        damage.flip_bytes(path)
        with pytest.raises(sqlite3.DatabaseError):
            await again.fetch("SELECT * FROM remembered")
        assert again.broken.is_set()
    finally:
        await again.close()


@pytest.mark.parametrize("statement", ["SELECT * FROM nowhere", "INSERT INTO remembered VALUES ('1', NULL)"])
async def test_an_error_of_ours_is_no_damage(filled: Database, statement: str) -> None:
    with pytest.raises(sqlite3.Error):
        async with filled.transaction() as transaction:
            await transaction.execute(statement)
    assert not filled.broken.is_set()


async def test_what_is_set_aside_is_kept_whole_and_out_of_the_way(filled: Database, path: Path) -> None:
    async with filled.transaction() as transaction:
        await transaction.execute("INSERT INTO remembered VALUES ('newest', '')")
    wal = path.with_name(f"{path.name}-wal").read_bytes()
    set_aside(path)
    assert wal
    assert not path.exists()
    kept = sorted(file.name for file in path.parent.iterdir() if ".broken-" in file.name)
    assert [name.rpartition("-")[2] for name in kept if name.endswith(("-wal", "-shm"))] == ["shm", "wal"]
    (main,) = [name for name in kept if not name.endswith(("-wal", "-shm"))]
    with closing(sqlite3.connect(path.parent / main)) as looked_into:
        assert looked_into.execute("SELECT 1 FROM remembered WHERE name = 'newest'").fetchall() == [(1,)]


async def test_setting_aside_what_is_not_there_is_no_error(path: Path) -> None:
    set_aside(path)
    assert list(path.parent.iterdir()) == []
