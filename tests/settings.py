"""Settings of the services under test, as values and as the environment of a process."""

from pathlib import Path
from typing import Any

from vps_service.settings import LIMITS, VpsSettings

NOBODY_LISTENS = "http://127.0.0.1:9"
UNLIMITED = {f"TOPTANK_{name.upper()}": "0" for name in LIMITS}
"""For stacks whose people all have one address: they register and sign in as often as their tests need."""
PRODUCTION: dict[str, str | int] = {
    "environment": "production",
    "payment_provider": "",
    "bcrypt_cost": 12,
    "vps_url": "https://courses.example",
    "smtp_host": "127.0.0.1",
    "smtp_port": 9,
    "trusted_proxies": "127.0.0.1",
    **{name: VpsSettings.model_fields[name].default for name in LIMITS},
}
"""What a VPS has to be told before it works in production."""
VPS_SECRETS = ("access_key", "vps_key", "simulator_secret", "codes_key")


def vps_settings(database_url: str, secrets: Path, data_dir: Path, **changes: Any) -> VpsSettings:
    """A VPS as in `toptank up`, but with cheap bcrypt, and no limits and no neighbour unless `changes` names them."""
    values = {
        "environment": "local",
        "data_dir": data_dir,
        "database_url": database_url,
        "simulator_url": NOBODY_LISTENS,
        "bcrypt_cost": 4,
        **dict.fromkeys(LIMITS, 0),
    }
    for name in VPS_SECRETS:
        values[name] = (secrets / name).read_text()
    return VpsSettings.model_validate(values | changes)


def vps_environment(database_url: str, secrets: Path, data_dir: Path) -> dict[str, str]:
    """What a VPS process needs, with its secrets in files."""
    return {
        "TOPTANK_ENVIRONMENT": "local",
        "TOPTANK_DATABASE_URL": database_url,
        "TOPTANK_DATA_DIR": str(data_dir),
        "TOPTANK_BCRYPT_COST": "4",
        **UNLIMITED,
        **{f"TOPTANK_{name.upper()}_FILE": str(secrets / name) for name in VPS_SECRETS},
    }
