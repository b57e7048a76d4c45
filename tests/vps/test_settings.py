"""Starting the VPS: with a bad setting it refuses, in one line that never shows a secret."""

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.settings import load
from tests.databases import empty_database, in_database
from tests.processes import Process, free_port, run
from tests.settings import PRODUCTION, vps_environment
from vps_service.settings import LIMITS, VpsSettings

PKCS8, PEM = serialization.PrivateFormat.PKCS8, serialization.Encoding.PEM
NO_KEYS = {"empty": b"", "a word": b"letmein", "bytes": b"\xff\xfe\x00"}
LOCKED = Ed25519PrivateKey.generate().private_bytes(PEM, PKCS8, serialization.BestAvailableEncryption(b"x"))
OF_ANOTHER_CURVE = generate_private_key(SECP256R1()).private_bytes(PEM, PKCS8, serialization.NoEncryption())
NO_KEYS |= {"locked": LOCKED, "of another curve": OF_ANOTHER_CURVE}


@pytest.fixture
def environment(database_url: str, secrets_folder: Path, tmp_path: Path) -> dict[str, str]:
    return vps_environment(database_url, secrets_folder, tmp_path) | {"TOPTANK_VPS_PORT": str(free_port())}


def one_line(said: str, *expected: str) -> str:
    """What was said, once it is one line that says all of this."""
    (line,) = said.splitlines()
    assert line.startswith("toptank: "), line
    for words in expected:
        assert words in line, line
    return line


def refuses(environment: dict[str, str], *expected: str, command: str = "vps_service", given: str = "") -> str:
    """The process ends at once, saying this."""
    module, *arguments = command.split()
    ended = run(module, *arguments, environment=environment, given=given)
    assert ended.returncode == 1, ended.stderr
    return one_line(ended.stderr, *expected)


@pytest.fixture
def loading(monkeypatch: pytest.MonkeyPatch, secrets_folder: Path, tmp_path: Path) -> Callable[..., str]:
    """What the process would say of these settings; the first thing that it does is to load them."""

    def load_with(**changes: str | Path | None) -> str:
        good = vps_environment("postgresql://nobody@127.0.0.1:9/x", secrets_folder, tmp_path)
        for name, value in (good | {f"TOPTANK_{name}": value for name, value in changes.items()}).items():
            monkeypatch.delenv(name, raising=False)
            if value is not None:
                monkeypatch.setenv(name, str(value))
        with pytest.raises(SystemExit) as ended:
            load(VpsSettings)
        return one_line(str(ended.value.code))

    return load_with


def test_with_good_settings_it_serves(environment: dict[str, str], tmp_path: Path) -> None:
    port = int(environment["TOPTANK_VPS_PORT"])
    service = Process("vps_service", port, environment, tmp_path / "vps.log", is_fresh=True)
    assert httpx.get(f"http://127.0.0.1:{port}/health/ready").json() == {"status": "ok"}
    answer = httpx.get(f"http://127.0.0.1:{port}/api/courses", headers={"X-Request-ID": "hello-there"})
    assert (answer.status_code, answer.headers["x-request-id"]) == (200, "hello-there")
    assert "server" not in answer.headers
    service.stop()
    logged = (tmp_path / "vps.log").read_text()
    assert '"request_id": "hello-there"' in logged
    assert "Traceback" not in logged


SECRETS = ["access_key", "vps_key", "simulator_secret", "codes_key"]


def test_a_process_without_a_secret_refuses_to_start(environment: dict[str, str]) -> None:
    del environment["TOPTANK_ACCESS_KEY_FILE"]
    refuses(environment, "TOPTANK_ACCESS_KEY")


def test_a_process_with_a_known_secret_refuses_to_start(environment: dict[str, str]) -> None:
    del environment["TOPTANK_SIMULATOR_SECRET_FILE"]
    known = "please-change-me-please-change-me-please"
    assert known not in refuses(environment | {"TOPTANK_SIMULATOR_SECRET": known}, "TOPTANK_SIMULATOR_SECRET")


@pytest.mark.parametrize("name", SECRETS)
def test_a_missing_secret_is_named(loading: Callable[..., str], name: str) -> None:
    assert f"TOPTANK_{name.upper()}" in loading(**{f"{name.upper()}_FILE": None})
    assert f"TOPTANK_{name.upper()}" in loading(**{f"{name.upper()}_FILE": ""})


@pytest.mark.parametrize(
    "secret",
    [
        "short-but-random-9fQ2",
        "please-change-me-please-change-me-please",
        "password-password-password-password-1234",
        "toptank-simulator-secret-for-local-use-only",
        "ababababababababababababababababababab",
        "0123456789abcdef0123456789abcdef0123456789",
    ],
)
def test_a_short_or_known_secret_is_refused_and_not_repeated(
    loading: Callable[..., str], secret: str, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_text(secret)
    line = loading(SIMULATOR_SECRET_FILE=tmp_path / "bad")
    assert "TOPTANK_SIMULATOR_SECRET" in line
    assert secret not in line


@pytest.mark.parametrize("name", ["access_key", "vps_key"])
@pytest.mark.parametrize("content", NO_KEYS.values(), ids=NO_KEYS)
def test_a_key_that_is_no_key_is_refused(
    loading: Callable[..., str], name: str, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "bad").write_bytes(content)
    line = loading(**{f"{name.upper()}_FILE": tmp_path / "bad"})
    assert f"TOPTANK_{name.upper()}" in line or str(tmp_path / "bad") in line


def test_a_public_key_in_the_place_of_a_private_one_is_refused(
    loading: Callable[..., str], secrets_folder: Path
) -> None:
    assert "TOPTANK_VPS_KEY" in loading(VPS_KEY_FILE=secrets_folder / "vps_public_key")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("ACCESS_KEY_FILE", "/nowhere/access_key", "/nowhere/access_key: No such file"),
        ("ACCESS_KEY_FILE", "/", "/: Is a directory"),
        ("VPS_PORT", "65536", "TOPTANK_VPS_PORT"),
        ("VPS_PORT", "http", "TOPTANK_VPS_PORT"),
        ("ENVIRONMENT", "prod", "TOPTANK_ENVIRONMENT"),
        ("BCRYPT_COST", "3", "TOPTANK_BCRYPT_COST"),
        ("PHONE_PROVIDER", "pigeons", "TOPTANK_PHONE_PROVIDER"),
        ("PHONE_PROVIDER", "local", "TOPTANK_SMTP_HOST"),
        ("CURRENCY", "pounds", "TOPTANK_CURRENCY"),
        ("LOG_LEVEL", "loud", "TOPTANK_LOG_LEVEL"),
        ("PLATFORM_FEE_PERCENT", "101", "TOPTANK_PLATFORM_FEE_PERCENT"),
        ("PAYMENT_PROVIDER", "none", "TOPTANK_PAYMENT_PROVIDER"),
        ("VPS_URL", "localhost:8000", "TOPTANK_VPS_URL: must be a URL like https://"),
        ("VPS_URL", "https://courses.example/", "TOPTANK_VPS_URL: must be a URL like https://host, without"),
        ("VPS_URL", "https://courses.example/shop", "TOPTANK_VPS_URL: must be a URL like https://host, without"),
        ("TRUSTED_PROXIES", "10.0.0.1/8", "TOPTANK_TRUSTED_PROXIES"),
        ("TRUSTED_PROXIES", "the edge", "TOPTANK_TRUSTED_PROXIES"),
        ("TRUSTED_PROXIES", "127.0.0.1 0.0.0.0/0", "TOPTANK_TRUSTED_PROXIES: must not be everybody"),
        ("TRUSTED_PROXIES", "::/0", "TOPTANK_TRUSTED_PROXIES: must not be everybody"),
        ("LOGIN_FAILURES", "-1", "TOPTANK_LOGIN_FAILURES"),
        ("CHANGES_KEPT_DAYS", "0", "TOPTANK_CHANGES_KEPT_DAYS"),
        ("CHANGES_KEPT_DAYS", "for ever", "TOPTANK_CHANGES_KEPT_DAYS"),
        ("LEAVING_GRACE_DAYS", "-1", "TOPTANK_LEAVING_GRACE_DAYS"),
        ("LEAVING_GRACE_DAYS", "inf", "TOPTANK_LEAVING_GRACE_DAYS"),
        ("SIMULATOR_URL", "ftp://hunter22@127.0.0.1", "TOPTANK_SIMULATOR_URL"),
        ("DATABASE_URL", "", "TOPTANK_DATABASE_URL"),
        ("DATABASE_URL", "not a url", "TOPTANK_DATABASE_URL"),
        ("DATABASE_URL", "mysql://root:hunter22@localhost/x", "TOPTANK_DATABASE_URL"),
        ("DATABASE_URL", "postgresql://root:hunter22@localhost:port/x", "TOPTANK_DATABASE_URL"),
        ("ENVIRONMENT", "production", "simulator refuses to run in production"),
        ("SMTP_PORT", "0", "TOPTANK_SMTP_PORT"),
        ("SMTP_SECURITY", "ssl", "TOPTANK_SMTP_SECURITY"),
        ("SMTP_PASSWORD", "hunter22", "TOPTANK_SMTP_PASSWORD needs TOPTANK_SMTP_USERNAME"),
        ("MAIL_FROM", "TopTank", "TOPTANK_MAIL_FROM: must be like no-reply@host"),
        ("MAIL_FROM", "no-reply@", "TOPTANK_MAIL_FROM: must be like no-reply@host"),
        ("MAIL_FROM", "a@b\nBcc: c@d", "TOPTANK_MAIL_FROM: must be like no-reply@host"),
        ("LINKS_URL", "https://app.example/x", "TOPTANK_LINKS_URL: must be a URL like https://host, without"),
        ("RESET_LINK_S", "0", "TOPTANK_RESET_LINK_S"),
    ],
)
def test_a_bad_setting_is_named(loading: Callable[..., str], name: str, value: str, said: str) -> None:
    line = loading(**{name: value})
    assert said in line
    assert "hunter22" not in line


WEAK = {
    "PAYMENT_PROVIDER": ("simulator", "empty TOPTANK_PAYMENT_PROVIDER"),
    "SMTP_HOST": ("", "TOPTANK_SMTP_HOST must be set"),
    "TRUSTED_PROXIES": ("", "TOPTANK_TRUSTED_PROXIES must name the proxy"),
    "BCRYPT_COST": ("11", "TOPTANK_BCRYPT_COST must be at least 12"),
    "ACCESS_TOKEN_S": ("3601", "TOPTANK_ACCESS_TOKEN_S must be at most 3600"),
    "VPS_URL": ("http://courses.example", "TOPTANK_VPS_URL must be https://"),
    "LINKS_URL": ("http://app.example", "TOPTANK_LINKS_URL must be https://"),
    "CORS_ORIGINS": ("https://app.example http://app.example", "TOPTANK_CORS_ORIGINS must be https://"),
    "DATABASE_PASSWORD": ("s3same-open", "TOPTANK_DATABASE_PASSWORD must have at least 12 characters"),
    **{name.upper(): ("0", f"TOPTANK_{name.upper()} must not be 0") for name in LIMITS},
}


@pytest.mark.parametrize("name", WEAK)
def test_production_takes_nothing_weak(loading: Callable[..., str], name: str) -> None:
    """Abuse cases 3 and 53."""
    good = {name.upper(): str(value) for name, value in PRODUCTION.items()}
    value, said = WEAK[name]
    line = loading(**good | {name: value})
    assert said in line
    assert ";" not in line.removesuffix("; empty TOPTANK_PAYMENT_PROVIDER"), "everything else is good"


def test_production_names_all_that_is_weak_at_once(loading: Callable[..., str]) -> None:
    line = loading(ENVIRONMENT="production", **{name: value for name, (value, _) in WEAK.items()})
    assert all(said in line for _, said in WEAK.values())
    assert "s3same-open" not in line


@pytest.mark.parametrize("password", ["toptank", "password1234", "postgres", "aaaaaaaaaaaaaaaa", "please-change-it"])
def test_production_takes_no_guessable_password_of_the_database(loading: Callable[..., str], password: str) -> None:
    good = {name.upper(): str(value) for name, value in PRODUCTION.items()}
    line = loading(**good, DATABASE_URL=f"postgresql://toptank:{password}@127.0.0.1/toptank")
    assert "TOPTANK_DATABASE_PASSWORD" in line
    assert password not in line.replace("TOPTANK", "").replace("toptank:", "")


def test_one_key_for_two_things_is_refused(loading: Callable[..., str], secrets_folder: Path) -> None:
    """Abuse case 4."""
    assert "TOPTANK_ACCESS_KEY and TOPTANK_VPS_KEY" in loading(VPS_KEY_FILE=secrets_folder / "access_key")


def test_with_nothing_weak_it_serves_in_production(environment: dict[str, str], tmp_path: Path) -> None:
    port = int(environment["TOPTANK_VPS_PORT"])
    told = environment | {f"TOPTANK_{name.upper()}": str(value) for name, value in PRODUCTION.items()}
    service = Process("vps_service", port, told, tmp_path / "vps.log", is_fresh=True)
    answer = httpx.get(f"http://127.0.0.1:{port}/health/ready")
    assert answer.json() == {"status": "ok"}
    assert answer.headers["strict-transport-security"].startswith("max-age=31536000")
    service.stop()


@pytest.mark.parametrize("told", [{"ENVIRONMENT": "production"}, {"SMTP_USERNAME": "x", "SMTP_PASSWORD": "hunter22"}])
def test_links_and_passwords_cross_no_network_in_the_open(loading: Callable[..., str], told: dict[str, str]) -> None:
    open_server = {"SMTP_HOST": "mail.example", "SMTP_SECURITY": "none", "PAYMENT_PROVIDER": "", "BCRYPT_COST": "12"}
    line = loading(**open_server, **told)
    assert "TOPTANK_SMTP_SECURITY must be starttls or tls" in line
    assert "hunter22" not in line


def test_production_takes_no_made_up_way_to_phones(loading: Callable[..., str]) -> None:
    assert "TOPTANK_PHONE_PROVIDER" in loading(
        ENVIRONMENT="production", PAYMENT_PROVIDER="", BCRYPT_COST="12", PHONE_PROVIDER="local", SMTP_HOST="localhost"
    )


def test_production_does_not_start_where_a_test_would_have_it_die(environment: dict[str, str]) -> None:
    doomed = {"TOPTANK_KILL_AT": "payment.before_commit:3", "TOPTANK_ENVIRONMENT": "production"}
    doomed |= {"TOPTANK_PAYMENT_PROVIDER": "", "TOPTANK_BCRYPT_COST": "12"}
    refuses(environment | doomed, "TOPTANK_KILL_AT is for tests and refuses to run in production")


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("VPS_HOST", "192.0.2.1", "cannot listen on 192.0.2.1"),
        ("DATABASE_URL", "postgresql://nobody:hunter22@127.0.0.1:9/x", "cannot be reached"),
        ("DATA_DIR", "/dev/null/data", "/dev/null/data"),
    ],
)
def test_what_only_starting_shows_is_said_too(environment: dict[str, str], name: str, value: str, said: str) -> None:
    assert "hunter22" not in refuses(environment | {f"TOPTANK_{name}": value}, said)


def test_a_busy_port_is_said_with_the_setting_that_changes_it(environment: dict[str, str]) -> None:
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", int(environment["TOPTANK_VPS_PORT"])))
        busy.listen()
        refuses(environment, f"127.0.0.1:{environment['TOPTANK_VPS_PORT']}", "TOPTANK_VPS_PORT")


@pytest.fixture
def unmigrated(environment: dict[str, str], template_url: str) -> Iterator[dict[str, str]]:
    with empty_database(template_url) as url:
        yield environment | {"TOPTANK_DATABASE_URL": url}


def test_a_database_without_the_schema_names_the_command_that_helps(unmigrated: dict[str, str]) -> None:
    refuses(unmigrated, "run toptank migrate")


COMMANDS = [
    "vps_service.migrate",
    "vps_service.accounts.operator confirm-contact sara",
    "vps_service.followers.seed omar 10",
    "vps_service.nodes.operator remove-node node-1",
    "vps_service.nodes.operator reconcile",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_when_the_database_is_not_there(
    environment: dict[str, str], command: str, database_url: str
) -> None:
    missing = environment | {"TOPTANK_DATABASE_URL": in_database(database_url, "nowhere")}
    refuses(missing, "cannot be reached", command=command, given="correct horse battery staple\n")
