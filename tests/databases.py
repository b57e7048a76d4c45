"""One PostgreSQL for a whole test run, a migrated template in it, and a fresh copy of that for each test."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo
from sqlalchemy.engine import make_url

from shared.localdb import LocalDatabase
from shared.secrets import make_secrets
from tests.settings import vps_settings
from vps_service.migrate import migrate

SERVER = "TOPTANK_TEST_DATABASE_URL"
"""Set by whoever has a server to test on; any database of it, whose user may create others."""


def in_database(url: str, name: str) -> str:
    """The same server's other database."""
    return make_url(url).set(database=name).render_as_string(hide_password=False)


def execute(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(make_conninfo(in_database(url, "postgres")), autocommit=True) as connection:
        connection.execute(statement)


IN_MEMORY, ENOUGH = Path("/dev/shm"), 3 * 2**30


def scratch() -> Path | None:
    """Making and dropping databases waits for the disk even where commits do not: 20 times faster in memory."""
    return IN_MEMORY if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > ENOUGH else None


@contextmanager
def server() -> Iterator[str]:
    """A URL of the server that SERVER names, else of one of our own."""
    if existing := os.environ.get(SERVER):
        yield existing
        return
    folder = Path(tempfile.mkdtemp(prefix="toptank-tests-", dir=scratch()))
    folder.chmod(0o711)  # where PostgreSQL runs as another user than we do, it passes through
    database = LocalDatabase(folder / "postgres", durable=False)
    try:
        database.start()
        yield database.url()
    finally:
        database.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def empty_database(url: str) -> Iterator[str]:
    """A database without a schema, gone afterwards."""
    name = f"test_{uuid4().hex}"
    execute(url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        yield in_database(url, name)
    finally:
        execute(url, sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@contextmanager
def migrated_database() -> Iterator[str]:
    """What `copy_of` copies; nothing stays connected to it."""
    with server() as url, empty_database(url) as template, tempfile.TemporaryDirectory() as folder:
        make_secrets(Path(folder) / "secrets")
        migrate(vps_settings(template, Path(folder) / "secrets", Path(folder)))
        yield template


@contextmanager
def copy_of(template: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    names = {"name": sql.Identifier(name), "template": sql.Identifier(make_url(template).database or "")}
    copied = "CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
    execute(template, sql.SQL(copied).format(**names))
    try:
        yield in_database(template, name)
    finally:
        execute(template, sql.SQL("DROP DATABASE {name} WITH (FORCE)").format(**names))
