"""How `toptank up` tells later commands in another terminal where its stack is: a file in the data folder.

It names the secrets' files, never the secrets; a database URL may hold a password, so only its owner may read it.
"""

import json
import os
from pathlib import Path

from shared.settings import PREFIX

FILE = "environment.json"


def write(folder: Path, environment: dict[str, str]) -> None:
    told = {name: value for name, value in environment.items() if name.startswith(PREFIX)}
    secret = ("PASSWORD", "SECRET", "KEY")
    told = {name: value for name, value in told.items() if not name.endswith(secret)}
    file = folder / FILE
    file.touch(mode=0o600)
    file.chmod(0o600)
    file.write_text(json.dumps(told, indent=2))


def read() -> dict[str, str]:
    """What the local stack was told, when there is one and nobody has said where else the database is."""
    path = Path(os.environ.get(f"{PREFIX}DATA_DIR", ".toptank")) / FILE
    if os.environ.get(f"{PREFIX}DATABASE_URL") or not path.is_file():
        return {}
    told: dict[str, str] = json.loads(path.read_text())
    return {name: value for name, value in told.items() if name not in os.environ}
