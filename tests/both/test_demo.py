"""`toptank up` and `toptank demo`: start, try, stop, go on where it was, and never leave anything running."""

import os
import re
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.both.terminal import Up, environment, one_line, processes_of, toptank
from tests.both.toptank import eventually

PASSWORD = "correct horse battery staple"


@dataclass(frozen=True)
class FirstRun:
    """What a newcomer did: `up`, `demo`, registered, Ctrl-C."""

    folder: Path
    environment: dict[str, str]
    said: str
    demo: subprocess.CompletedProcess[str]
    user: dict[str, Any]
    exit_code: int
    left_running: list[int]


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> FirstRun:
    folder = tmp_path_factory.mktemp("stack") / "data"
    told = environment(folder)
    up = Up(told).started()
    try:
        elsewhere = {name: value for name, value in told.items() if not name.endswith("_PORT")}
        demo = toptank("demo", environment=elsewhere)  # another terminal: it is told by the data folder only
        form = {"name": "Sara", "username": "sara", "password": PASSWORD, "email": "sara@example.com"}
        user = httpx.post(f"{up.url('vps')}/api/auth/register", json=form).json()["user"]
        exit_code = up.interrupt()
        return FirstRun(folder, told, up.said(), demo, user, exit_code, processes_of(folder))
    finally:
        up.end()


def test_what_a_stack_keeps_is_for_its_owner_alone(first_run: FirstRun) -> None:
    """Its folder can be passed through, because PostgreSQL may have to run as somebody else, and not be read."""
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in first_run.folder.iterdir()}
    assert stat.S_IMODE(first_run.folder.stat().st_mode) == 0o711
    assert {name for name, mode in modes.items() if mode & 0o077} == set()
    assert {"environment.json", "logs", "node-1", "postgres", "secrets"} <= set(modes)


@pytest.fixture(scope="module")
def second_run(first_run: FirstRun) -> Iterator[Up]:
    up = Up(first_run.environment).started()
    yield up
    up.end()


# --- a first run ----------------------------------------------------------------------------------------


def test_up_prints_where_everything_is(first_run: FirstRun) -> None:
    for service in ("VPS", "CLOUD", "SIMULATOR", "CATCHER"):
        assert f"http://localhost:{first_run.environment[f'TOPTANK_{service}_PORT']}" in first_run.said
    assert str(first_run.folder) in first_run.said


def test_the_demo_passes(first_run: FirstRun) -> None:
    assert first_run.demo.returncode == 0, first_run.demo.stdout + first_run.demo.stderr
    assert first_run.demo.stderr == ""


@pytest.mark.parametrize(
    "step",
    [
        r"made a real MP4: 20 seconds, [\d,]+ bytes",
        r"registered as a teacher: 0 followers, balance 0, not verified, no courses",
        r"14,999 of 15,000 followers: not_enough_followers",
        r"one follower too few: refused \(403\)",
        r"15,000 followers, the teacher is verified",
        r"uploaded to the Cloud: 20\.\d s, 640x360, same SHA-256",
        r"processed for every device: sd 640x360",
        r"without a token: refused \(401\)",
        r"without a key: refused \(403\)",
        r"got a key and 1 video",
        r"streamed in \d+ ranges, byte for byte: SHA-256 [0-9a-f]{16}",
        r"a deleted course: refused \(404\), although it was paid",
        r"the buyer keeps a void key as a receipt",
        r"Everything was as it must be\.$",
    ],
)
def test_the_demo_says_each_step(first_run: FirstRun, step: str) -> None:
    assert re.search(step, first_run.demo.stdout.strip())


def test_ctrl_c_stops_everything_cleanly(first_run: FirstRun) -> None:
    assert first_run.exit_code == 0
    assert first_run.left_running == []


def test_secrets_are_for_their_owner_alone(first_run: FirstRun) -> None:
    secrets = first_run.folder / "secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}


def test_no_secret_is_told_to_later_commands_or_logs(first_run: FirstRun) -> None:
    files = [first_run.folder / "environment.json", *(first_run.folder / "logs").iterdir()]
    secrets = [path.read_text().strip() for path in (first_run.folder / "secrets").iterdir()]
    lines = {line for secret in secrets for line in secret.splitlines() if not line.startswith("-----")}
    for path in files:
        assert not [line for line in lines if line in path.read_text()], path


# --- the next one -----------------------------------------------------------------------------------------


def test_data_is_kept_for_the_next_start(second_run: Up, first_run: FirstRun) -> None:
    login = {"login": "sara", "password": PASSWORD}
    response = httpx.post(f"{second_run.url('vps')}/api/auth/login", json=login)
    assert response.json()["user"]["id"] == first_run.user["id"]


def test_a_second_stack_on_the_same_data_is_refused_and_harms_nothing(second_run: Up, first_run: FirstRun) -> None:
    refused = toptank("up", environment=environment(first_run.folder))
    assert refused.returncode != 0
    assert str(first_run.folder) in one_line(refused.stderr)
    assert httpx.get(f"{second_run.url('vps')}/health/ready").status_code == 200
    fresh = {"name": "Omar", "username": "omar", "password": PASSWORD, "email": "omar@example.com"}
    assert httpx.post(f"{second_run.url('vps')}/api/auth/register", json=fresh).status_code == 201
    told = {name: value for name, value in first_run.environment.items() if not name.endswith("_PORT")}
    confirmed = toptank("confirm-contact", "omar", environment=told)
    assert confirmed.returncode == 0, confirmed.stderr


def test_a_service_that_dies_ends_the_stack_and_is_named(second_run: Up, first_run: FirstRun) -> None:
    with socket.create_connection(("127.0.0.1", int(first_run.environment["TOPTANK_CLOUD_PORT"]))):
        pass
    (cloud,) = [pid for pid in processes_of(first_run.folder) if b"cloud_service" in cmdline(pid).split(b"\0")]
    os.kill(cloud, signal.SIGKILL)
    assert second_run.process.wait(20) != 0
    complaint = one_line(second_run.complained())
    assert "cloud ended by itself" in complaint
    assert str(first_run.folder / "logs" / "cloud.log") in complaint
    assert processes_of(first_run.folder) == []


def cmdline(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_a_killed_stack_leaves_nothing_running_and_starts_again(first_run: FirstRun) -> None:
    up = Up(first_run.environment).started()
    up.process.kill()
    up.process.wait()
    eventually(lambda: not processes_of(first_run.folder))
    up.end()
    again = Up(first_run.environment).started()
    assert again.interrupt() == 0
    again.end()
    assert processes_of(first_run.folder) == []
