"""The embedded PostgreSQL: starts where there is none, keeps its data, leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from shared.localdb import LocalDatabase, LocalDatabaseError


def postmaster(database: LocalDatabase) -> int:
    return int((database.folder / "cluster" / "postmaster.pid").read_text().splitlines()[0])


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_what_was_stored_is_there_at_the_next_start(tmp_path: Path) -> None:
    database = LocalDatabase(tmp_path / "postgres")
    for start in range(2):
        database.start()
        with psycopg.connect(database.url(), autocommit=True) as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS kept (number int)")
            stored = connection.execute("SELECT count(*) FROM kept").fetchone()
            connection.execute("INSERT INTO kept VALUES (1)")
            assert stored == (start,)
        database.stop()


def test_capitals_of_every_alphabet_are_known(tmp_path: Path) -> None:
    database = LocalDatabase(tmp_path / "postgres", durable=False)
    database.start()
    with psycopg.connect(database.url()) as connection:
        lower = connection.execute("SELECT lower('ÉMILE ŞAHİN ЖУКОВ ΣΑΠΦΩ سارة')").fetchone()
        assert lower == ("émile şahin жуков σαπφω سارة",)
        assert connection.execute("SELECT 'Жуков' ILIKE '%УК%', 'z' < 'é', 'Z' < 'a'").fetchone() == (True, True, True)
        # Letters to whatever asks the system what a word is, as searches by trigrams do.
        asked = connection.execute("SELECT datctype FROM pg_database WHERE datname = 'toptank'").fetchone()
        assert asked == ("C.UTF-8",)
    database.stop()


def test_a_database_of_before_goes_on_with_the_capitals_that_it_knows(tmp_path: Path) -> None:
    database = LocalDatabase(tmp_path / "postgres")
    database.start()
    with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
        connection.execute("DROP DATABASE toptank")
        connection.execute("CREATE DATABASE toptank TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    with psycopg.connect(database.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 'ÉMILE' AS name")
    database.stop()
    database.start()
    with psycopg.connect(database.url()) as connection:
        assert connection.execute("SELECT name, lower(name) FROM kept").fetchone() == ("ÉMILE", "Émile")
    database.stop()


def test_it_listens_on_a_socket_of_its_owner_and_on_no_port(tmp_path: Path) -> None:
    database = LocalDatabase(tmp_path / "postgres", durable=False)
    database.start()
    with psycopg.connect(database.url()) as connection:
        settings: dict[str, str] = dict(connection.execute("SELECT name, setting FROM pg_settings").fetchall())
    assert settings["listen_addresses"] == ""
    assert database.socket_folder.stat().st_mode & 0o077 == 0
    assert database.folder.stat().st_mode & 0o077 == 0
    database.stop()
    assert not database.socket_folder.exists()


def test_a_folder_with_a_long_name_is_no_hindrance(tmp_path: Path) -> None:
    database = LocalDatabase(tmp_path / ("long" * 30) / "name", durable=False)
    database.start()
    with psycopg.connect(database.url()) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
    database.stop()


def test_stopping_ends_the_server_though_somebody_is_connected(tmp_path: Path) -> None:
    database = LocalDatabase(tmp_path / "postgres", durable=False)
    database.start()
    pid, connection = postmaster(database), psycopg.connect(database.url())
    database.stop()
    assert not is_running(pid)
    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    database.stop()  # a second time does nothing


def test_an_interrupted_first_start_is_done_again(tmp_path: Path) -> None:
    making = tmp_path / "postgres" / "making"
    making.mkdir(parents=True)
    (making / "PG_VERSION").write_text("18")
    database = LocalDatabase(tmp_path / "postgres", durable=False)
    database.start()
    database.stop()
    assert not making.exists()


def test_a_broken_cluster_is_said_with_the_log_to_read(tmp_path: Path) -> None:
    cluster = tmp_path / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9.1")
    with pytest.raises(LocalDatabaseError, match=r"postgres\.log"):
        LocalDatabase(tmp_path / "postgres").start()


def test_the_server_ends_with_whoever_started_it_even_by_kill(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from shared.localdb import LocalDatabase\n"
        "LocalDatabase(Path(sys.argv[1])).start(); print('up', flush=True); time.sleep(60)"
    )
    owner = subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "postgres")], stdout=subprocess.PIPE)
    assert owner.stdout is not None
    assert owner.stdout.readline() == b"up\n"
    database = LocalDatabase(tmp_path / "postgres")
    pid = postmaster(database)
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    deadline = time.monotonic() + 20
    while is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(pid)
    database.start()  # and nothing of it is in the way of the next start
    database.stop()
