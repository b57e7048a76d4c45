"""One writer: transactions do not mix, a cancelled one leaves nothing, memory follows the file."""

import asyncio
import os
import sqlite3
import stat
from pathlib import Path

import pytest

from cloud_service import db
from cloud_service.db import Database, NewerSchema
from cloud_service.schema import MIGRATIONS

pytestmark = pytest.mark.anyio

ADD = "INSERT INTO remembered VALUES (?, ?)"


async def names(database: Database) -> list[str]:
    return [row["name"] for row in await database.fetch("SELECT name FROM remembered ORDER BY name")]


async def test_what_is_committed_is_there_after_a_restart(database: Database, path: Path) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(ADD, ("a", "1"))
    await database.close()
    again = await Database.open(path)
    try:
        assert await names(again) == ["a"]
    finally:
        await again.close()


async def test_an_error_undoes_the_whole_transaction(database: Database) -> None:
    async def add_twice() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(ADD, ("a", "1"))
            await transaction.execute(ADD, ("a", "2"))

    with pytest.raises(sqlite3.IntegrityError):
        await add_twice()
    assert await names(database) == []


async def test_memory_changes_with_the_commit_and_not_without(database: Database) -> None:
    seen: list[str] = []

    async def write(word: str, *, fail: bool) -> None:
        async with database.transaction() as transaction:
            transaction.on_commit(lambda: seen.append(word))
            assert word not in seen
            if fail:
                raise RuntimeError

    await write("committed", fail=False)
    with pytest.raises(RuntimeError):
        await write("undone", fail=True)
    assert seen == ["committed"]


async def test_transactions_of_many_tasks_do_not_mix(database: Database) -> None:
    async def add(number: int) -> None:
        async with database.transaction() as transaction:
            await transaction.execute(ADD, (f"{number:02} a", ""))
            await asyncio.sleep(0)
            if number % 2:
                raise RuntimeError
            await transaction.execute(ADD, (f"{number:02} b", ""))

    await asyncio.gather(*(add(number) for number in range(20)), return_exceptions=True)
    assert await names(database) == [f"{number:02} {half}" for number in range(0, 20, 2) for half in "ab"]


@pytest.mark.parametrize("steps", range(12))
async def test_a_cancelled_transaction_leaves_no_half_and_holds_up_nobody(database: Database, steps: int) -> None:
    """Wherever the cancellation hits: the commit had happened, or nothing had."""
    seen: list[str] = []

    async def write() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(ADD, ("a", "1"))
            await transaction.execute(ADD, ("b", "1"))
            transaction.on_commit(lambda: seen.append("shown"))

    task = asyncio.ensure_future(write())
    for _ in range(steps):
        await asyncio.sleep(0.0005)
    task.cancel()
    await asyncio.wait([task])
    async with database.transaction() as transaction:
        await transaction.execute(ADD, ("z", "1"))
    stored = await names(database)
    assert stored in (["z"], ["a", "b", "z"])
    assert bool(seen) == (stored == ["a", "b", "z"])


async def test_a_reader_sees_no_half_of_a_transaction(database: Database) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(ADD, ("a", "1"))
        assert await names(database) == []
    assert await names(database) == ["a"]


async def test_the_reader_cannot_write(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await database.fetch("DELETE FROM remembered")


async def test_a_durable_transaction_waits_for_the_disk_and_the_next_need_not(database: Database) -> None:
    levels = []
    for durable in (False, True, True, False):
        async with database.transaction(durable=durable) as transaction:
            levels.append((await transaction.fetch("PRAGMA synchronous"))[0][0])
    assert levels == [1, 2, 2, 1]


@pytest.mark.parametrize("was_there", [False, True])
async def test_nobody_else_reads_the_file_or_what_lies_beside_it(tmp_path: Path, was_there: bool) -> None:
    """Who knows its secrets signs links."""
    path, before = tmp_path / "node" / "node.sqlite3", os.umask(0)
    try:
        if was_there:
            path.parent.mkdir()
            path.touch(0o644)
        database = await Database.open(path)
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO remembered (name, value) VALUES ('a', 'b')")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        await database.close()
    finally:
        os.umask(before)
    assert modes == {"node.sqlite3": 0o600, "node.sqlite3-wal": 0o600, "node.sqlite3-shm": 0o600}


# --- the schema -----------------------------------------------------------------------------------------


async def version(database: Database) -> int:
    return int((await database.fetch("PRAGMA user_version"))[0][0])


async def test_a_new_file_has_this_releases_schema(database: Database) -> None:
    assert await version(database) == len(MIGRATIONS)


async def test_each_migration_is_applied_once_and_to_older_files_too(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(ADD, ("a", "1"))
    await database.close()
    later = "CREATE TABLE later (id TEXT) STRICT; INSERT INTO later VALUES ('once');"
    monkeypatch.setattr(db, "MIGRATIONS", (*MIGRATIONS, later))
    for _ in range(2):
        again = await Database.open(path)
        try:
            assert await version(again) == len(MIGRATIONS) + 1
            assert [row["id"] for row in await again.fetch("SELECT id FROM later")] == ["once"]
            assert "a" in await names(again)
        finally:
            await again.close()


async def test_a_migration_that_fails_leaves_the_file_as_it_was(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await database.close()
    with monkeypatch.context() as broken:
        broken.setattr(db, "MIGRATIONS", (*MIGRATIONS, "CREATE TABLE later (id TEXT); CREATE TABLE later (id TEXT);"))
        with pytest.raises(sqlite3.OperationalError):
            await Database.open(path)
    again = await Database.open(path)
    try:
        assert await version(again) == len(MIGRATIONS)
        assert await again.fetch("SELECT 1 FROM sqlite_master WHERE name = 'later'") == []
    finally:
        await again.close()


async def test_a_file_of_a_later_release_is_left_alone(database: Database, path: Path) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    await database.close()
    before = path.read_bytes()
    with pytest.raises(NewerSchema):
        await Database.open(path)
    assert path.read_bytes() == before
