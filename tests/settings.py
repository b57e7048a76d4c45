"""Settings of the services under test, as values and as the environment of a process."""

from pathlib import Path
from typing import Any

from vps_service.settings import VpsSettings

NOBODY_LISTENS = "http://127.0.0.1:9"


def vps_settings(database_url: str, secrets: Path, data_dir: Path, **changes: Any) -> VpsSettings:
    """A VPS as `toptank up` sets it up, but with cheap bcrypt and no neighbour unless `changes` names one."""
    values = {
        "environment": "local",
        "data_dir": data_dir,
        "database_url": database_url,
        "simulator_url": NOBODY_LISTENS,
        "cloud_internal_url": NOBODY_LISTENS,
        "bcrypt_cost": 4,
    }
    for name in ("access_key", "vps_key", "node_public_key", "simulator_secret"):
        values[name] = (secrets / name).read_text()
    return VpsSettings.model_validate(values | changes)


def vps_environment(database_url: str, secrets: Path, data_dir: Path) -> dict[str, str]:
    """What a VPS process needs, with its secrets in files."""
    files = {
        f"TOPTANK_{name.upper()}_FILE": str(secrets / name)
        for name in ("access_key", "vps_key", "node_public_key", "simulator_secret")
    }
    return {
        "TOPTANK_ENVIRONMENT": "local",
        "TOPTANK_DATABASE_URL": database_url,
        "TOPTANK_DATA_DIR": str(data_dir),
        "TOPTANK_BCRYPT_COST": "4",
        **files,
    }
