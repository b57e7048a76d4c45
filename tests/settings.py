"""Settings of the services under test, as values and as the environment of a process."""

from pathlib import Path
from typing import Any

from vps_service.settings import VpsSettings

NOBODY_LISTENS = "http://127.0.0.1:9"
VPS_SECRETS = ("access_key", "vps_key", "simulator_secret", "codes_key")


def vps_settings(database_url: str, secrets: Path, data_dir: Path, **changes: Any) -> VpsSettings:
    """A VPS as `toptank up` sets it up, but with cheap bcrypt and no neighbour unless `changes` names one."""
    values = {
        "environment": "local",
        "data_dir": data_dir,
        "database_url": database_url,
        "simulator_url": NOBODY_LISTENS,
        "bcrypt_cost": 4,
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
        **{f"TOPTANK_{name.upper()}_FILE": str(secrets / name) for name in VPS_SECRETS},
    }
