"""What is in the way of `toptank up` and `toptank demo` is said in one line, and nothing is left running."""

import os
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.both.terminal import PORTS, Up, environment, one_line, processes_of, toptank
from tests.databases import copy_of

PASSWORD = "correct horse battery staple"


def test_a_busy_port_is_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for service in PORTS:
            refused = toptank("up", environment=environment(tmp_path, **{f"TOPTANK_{service}_PORT": port}))
            assert refused.returncode == 1
            complaint = one_line(refused.stderr)
            assert f"127.0.0.1:{port} is not free" in complaint
            assert f"TOPTANK_{service}_PORT" in complaint


@pytest.mark.parametrize(
    ("name", "value"),
    [("TOPTANK_VPS_PORT", "eighty"), ("TOPTANK_CLOUD_PORT", "99999"), ("TOPTANK_LOG_LEVEL", "loud")],
)
def test_a_bad_setting_is_one_line(tmp_path: Path, name: str, value: str) -> None:
    refused = toptank("up", environment=environment(tmp_path, **{name: value}))
    assert refused.returncode == 1
    assert f"bad setting: {name}" in one_line(refused.stderr)
    assert value not in refused.stderr


@pytest.mark.parametrize(("name", "value"), [("TOPTANK_FOLLOWERS_REQUIRED", "many"), ("TOPTANK_UPLOAD_BYTES", "0")])
def test_a_bad_setting_of_one_service_is_one_line_too(tmp_path: Path, database_url: str, name: str, value: str) -> None:
    told = environment(tmp_path, TOPTANK_DATABASE_URL=database_url, **{name: value})
    refused = toptank("up", environment=told)
    assert refused.returncode == 1
    assert f"bad setting: {name}" in one_line(refused.stderr)
    assert processes_of(tmp_path) == []


@dataclass(frozen=True)
class Elsewhere:
    """A stack told of a database that is there, and of addresses to listen on."""

    folder: Path
    database_url: str
    vps: str
    cloud: str
    up: Up

    def register(self, username: str) -> httpx.Response:
        form = {"name": "Sara", "username": username, "password": PASSWORD, "email": f"{username}@example.com"}
        return httpx.post(f"{self.vps}/api/auth/register", json=form)


@pytest.fixture(scope="module")
def elsewhere(template_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Elsewhere]:
    hosts = {"TOPTANK_VPS_HOST": "127.0.0.2", "TOPTANK_CLOUD_HOST": "127.0.0.3", "TOPTANK_SIMULATOR_HOST": "127.0.0.4"}
    folder = tmp_path_factory.mktemp("stack")
    with copy_of(template_url) as database_url:
        told = environment(folder, TOPTANK_DATABASE_URL=database_url, **hosts)
        vps, cloud = (
            f"http://{told[f'TOPTANK_{name}_HOST']}:{told[f'TOPTANK_{name}_PORT']}" for name in ("VPS", "CLOUD")
        )
        up = Up(told).started()
        try:
            yield Elsewhere(folder, database_url, vps, cloud, up)
            assert up.interrupt() == 0
        finally:
            up.end()


def test_an_existing_postgresql_is_used(elsewhere: Elsewhere) -> None:
    assert elsewhere.register("sara").status_code == 201
    assert "processing (node-1)" in elsewhere.up.said()
    with psycopg.connect(elsewhere.database_url) as connection:
        assert connection.execute("SELECT username FROM users WHERE username = 'sara'").fetchall()
    assert not (elsewhere.folder / "postgres").exists()


def test_later_commands_find_the_stack_whether_or_not_they_are_told_of_its_database_too(elsewhere: Elsewhere) -> None:
    assert elsewhere.register("lina").status_code == 201
    terminal = {**os.environ, "TOPTANK_DATA_DIR": str(elsewhere.folder)}
    for told in ({}, {"TOPTANK_DATABASE_URL": ""}, {"TOPTANK_DATABASE_URL": elsewhere.database_url}):
        confirmed = toptank("confirm-contact", "lina", environment=terminal | told)
        assert (confirmed.returncode, confirmed.stderr) == (0, "")
    other = toptank("confirm-contact", "lina", environment=terminal | {"TOPTANK_DATABASE_URL": "postgresql://x@y/z"})
    assert "TOPTANK_ACCESS_KEY" in one_line(other.stderr), "of another one the stack is not told"


def test_services_that_listen_elsewhere_on_this_machine_find_each_other(elsewhere: Elsewhere) -> None:
    token = elsewhere.register("mona").json()["access_token"]
    permission = httpx.get(f"{elsewhere.cloud}/uploads/permission", headers={"Authorization": f"Bearer {token}"})
    assert (permission.status_code, permission.json()["reason"]) == (200, "not_a_teacher")
    assert f"{elsewhere.vps} " in elsewhere.up.said()


def test_an_unreachable_database_is_one_line(tmp_path: Path) -> None:
    nowhere = "postgresql://toptank:hidden-word@127.0.0.1:9/toptank"
    refused = toptank("up", environment=environment(tmp_path, TOPTANK_DATABASE_URL=nowhere))
    assert refused.returncode != 0
    assert "cannot be reached" in one_line(refused.stderr)
    assert "hidden-word" not in refused.stderr
    assert not (tmp_path / "postgres").exists()


def test_a_demo_without_a_stack_fails_in_one_line(tmp_path: Path) -> None:
    failed = toptank("demo", "--vps", "http://127.0.0.1:9", environment=environment(tmp_path))
    assert failed.returncode == 1
    assert "is the stack running?" in one_line(failed.stderr)


def test_an_unknown_command_is_told_the_known_ones(tmp_path: Path) -> None:
    failed = toptank("dance", environment=environment(tmp_path))
    assert failed.returncode == 1
    assert "there is no command dance" in failed.stderr
    assert "demo" in failed.stderr
