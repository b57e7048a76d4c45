"""A node's settings: a bad one is one line that names it."""

from pathlib import Path

import pytest

from cloud_service.settings import CloudSettings
from shared.settings import load


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch, secrets_folder: Path) -> None:
    for name in ("node_key", "vps_public_key"):
        monkeypatch.setenv(f"TOPTANK_{name.upper()}_FILE", str(secrets_folder / name))


@pytest.mark.parametrize(
    "url", ["127.0.0.1:8000", "localhost:8000", "vps", "//vps", "ftp://vps", "http://", "http://[vps", "http://vps?x=1"]
)
def test_a_url_is_http_and_names_a_host(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TOPTANK_VPS_INTERNAL_URL", url)
    with pytest.raises(SystemExit) as ended:
        load(CloudSettings)
    (line,) = str(ended.value.code).splitlines()
    assert line.startswith("toptank: bad setting: TOPTANK_VPS_INTERNAL_URL: ")


@pytest.mark.parametrize("url", ["http://127.0.0.2:8000", "https://vps.example/", "http://[::1]:8000", "https://h/p"])
def test_a_url_is_kept_without_a_slash_at_its_end(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("TOPTANK_VPS_INTERNAL_URL", url)
    assert load(CloudSettings).vps_internal_url == url.rstrip("/")
