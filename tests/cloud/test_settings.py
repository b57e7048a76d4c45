"""A node's settings: a bad one is one line that names it."""

from pathlib import Path

import pytest

from cloud_service.settings import CloudSettings
from shared.settings import load


@pytest.fixture(autouse=True)
def good(monkeypatch: pytest.MonkeyPatch, secrets_folder: Path) -> None:
    for name in ("node_key", "vps_public_key"):
        monkeypatch.setenv(f"TOPTANK_{name.upper()}_FILE", str(secrets_folder / name))
    monkeypatch.setenv("TOPTANK_CLOUD_URL", "https://video.example")


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


@pytest.mark.parametrize("name", ["TOPTANK_CLOUD_URL", "TOPTANK_VPS_URL"])
@pytest.mark.parametrize("after", ["/", "/shop", "//", "?", "#", "/?x=1"])
def test_a_public_address_has_no_path_for_an_edge_that_is_told_it_would_answer_nothing_else(
    monkeypatch: pytest.MonkeyPatch, name: str, after: str
) -> None:
    monkeypatch.setenv(name, "https://video.example:8443")
    assert getattr(load(CloudSettings), name.removeprefix("TOPTANK_").lower()) == "https://video.example:8443"
    monkeypatch.setenv(name, f"https://video.example:8443{after}")
    with pytest.raises(SystemExit) as ended:
        load(CloudSettings)
    (line,) = str(ended.value.code).splitlines()
    assert line.startswith(f"toptank: bad setting: {name}: must be a URL like https://host, without")


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ({"TRUST_STARTING_S": "100", "TRUST_WATCHING_S": "99"}, "must not be over TOPTANK_TRUST_WATCHING_S"),
        ({"TRUST_STARTING_S": "5", "FEED_WAIT_S": "3"}, "must be at least twice TOPTANK_FEED_WAIT_S"),
        ({"TRUST_STARTING_S": "0"}, "TOPTANK_TRUST_STARTING_S"),
        ({"FEED_WAIT_S": "26"}, "TOPTANK_FEED_WAIT_S"),
        ({"REPORT_EVERY_S": "16"}, "TOPTANK_REPORT_EVERY_S"),
    ],
)
def test_windows_of_trust_fit_together(monkeypatch: pytest.MonkeyPatch, told: dict[str, str], complaint: str) -> None:
    for name, value in told.items():
        monkeypatch.setenv(f"TOPTANK_{name}", value)
    with pytest.raises(SystemExit) as ended:
        load(CloudSettings)
    (line,) = str(ended.value.code).splitlines()
    assert complaint in line


def test_what_is_trusted_by_default_is_what_was_promised() -> None:
    settings = load(CloudSettings)
    assert (settings.trust_watching_s, settings.trust_starting_s) == (15 * 60, 5 * 60)


def test_how_slow_an_upload_may_be_by_default_is_what_was_promised() -> None:
    settings = load(CloudSettings)
    assert (settings.upload_min_bytes_per_s, settings.upload_rate_window_s) == (64 * 1024, 30)
    assert (settings.upload_deadline_s, settings.uploads_per_user) == (24 * 3600, 8)


def test_while_a_key_is_being_replaced_there_are_two_of_the_vps(
    monkeypatch: pytest.MonkeyPatch, secrets_folder: Path, tmp_path: Path
) -> None:
    both = tmp_path / "both"
    both.write_text((secrets_folder / "vps_public_key").read_text() + (secrets_folder / "node_public_key").read_text())
    monkeypatch.setenv("TOPTANK_VPS_PUBLIC_KEY_FILE", str(both))
    assert len(load(CloudSettings).vps_public_key) == 2


def test_pages_of_the_vps_and_of_whom_the_operator_names_may_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOPTANK_ENVIRONMENT", "staging")
    assert load(CloudSettings).origins == ()
    monkeypatch.setenv("TOPTANK_VPS_URL", "https://Learn.Example:443")
    monkeypatch.setenv("TOPTANK_CORS_ORIGINS", "https://app.example, http://127.0.0.1:3000/ http://[::1]:3000")
    assert load(CloudSettings).origins == (
        *("https://learn.example", "https://app.example", "http://127.0.0.1:3000", "http://[::1]:3000"),
    )


@pytest.mark.parametrize(
    "origins",
    ["*", "null", "https://*.example", "app.example", "file://", "https://app.example/page", "http://a b", "http://:1"],
)
def test_a_page_is_named_by_its_origin_alone(monkeypatch: pytest.MonkeyPatch, origins: str) -> None:
    monkeypatch.setenv("TOPTANK_CORS_ORIGINS", f"https://good.example,{origins}")
    with pytest.raises(SystemExit) as ended:
        load(CloudSettings)
    (line,) = str(ended.value.code).splitlines()
    assert line.startswith("toptank: bad setting: TOPTANK_CORS_ORIGINS: ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CLOUD_URL", "http://video.example"),
        ("VPS_URL", "http://courses.example"),
        ("CORS_ORIGINS", "https://app.example, http://app.example"),
    ],
)
def test_production_takes_no_address_by_which_tokens_go_unencrypted(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Abuse cases 3 and 53."""
    load(CloudSettings)
    monkeypatch.setenv(f"TOPTANK_{name}", value)
    with pytest.raises(SystemExit) as ended:
        load(CloudSettings)
    assert ended.value.code == f"toptank: bad setting: TOPTANK_{name} must be https:// in production"
