"""What `toptank up` tells its services and later commands: addresses that are reached; other users are told nothing."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from shared import local_environment
from shared.stack import Service

TOPTANK = str(Path(sys.executable).with_name("toptank"))
TRAP = "raise SystemExit('imported from the current folder')"


@pytest.mark.parametrize(
    ("host", "reach", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:80", "http://localhost:80"),
        ("0.0.0.0", "http://127.0.0.1:80", "http://localhost:80"),
        ("::", "http://[::1]:80", "http://localhost:80"),
        ("127.0.0.2", "http://127.0.0.2:80", "http://127.0.0.2:80"),
        ("192.0.2.7", "http://192.0.2.7:80", "http://192.0.2.7:80"),
        ("::1", "http://[::1]:80", "http://[::1]:80"),
        ("vps.lan", "http://vps.lan:80", "http://vps.lan:80"),
    ],
)
def test_a_service_is_reached_where_it_listens(host: str, reach: str, url: str) -> None:
    service = Service("vps", "vps", "", host, 80)
    assert (service.reach, service.url) == (reach, url)


@pytest.mark.parametrize("left_behind", [None, 0o644])
def test_what_later_commands_are_told_is_for_the_owner_alone(tmp_path: Path, left_behind: int | None) -> None:
    file = tmp_path / "environment.json"
    if left_behind:
        file.touch(left_behind)
    told = {
        "TOPTANK_DATABASE_URL": "postgresql://toptank:hunter22@db/toptank",
        "TOPTANK_ACCESS_KEY_FILE": "/secrets/access_key",
        "TOPTANK_ACCESS_KEY": "a key",
        "TOPTANK_SIMULATOR_SECRET": "a secret",
        "TOPTANK_DATABASE_PASSWORD": "a password",
        "HOME": "/root",
    }
    before = os.umask(0o022)
    try:
        local_environment.write(tmp_path, told)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(json.loads(file.read_text())) == {"TOPTANK_DATABASE_URL", "TOPTANK_ACCESS_KEY_FILE"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["make-secrets", "secrets"], ""),
        (["vps"], "bad setting: TOPTANK_DATABASE_URL"),
        (["cloud"], "bad setting: TOPTANK_NODE_KEY"),
        (["up"], "bad setting: TOPTANK_VPS_PORT"),
        (["demo"], "is the stack running?"),
    ],
)
def test_packages_in_the_current_folder_are_not_ours(tmp_path: Path, arguments: list[str], said: str) -> None:
    for package in ("shared", "vps_service", "cloud_service", "httpx"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(TRAP)
    told = {**os.environ, "TOPTANK_VPS_URL": "http://127.0.0.1:9"}
    told |= {"TOPTANK_VPS_PORT": "eighty"} if arguments == ["up"] else {}
    ended = subprocess.run(
        [TOPTANK, *arguments], cwd=tmp_path, env=told, capture_output=True, text=True, timeout=60, check=False
    )
    assert "imported from the current folder" not in ended.stderr
    assert said in ended.stderr
    assert ended.returncode == (1 if said else 0)
