"""How `toptank up` tells later commands in another terminal where its stack is: a file in the data folder.

It names the secrets' files, never the secrets; a database URL may hold a password, so only its owner may read it.
"""

import json
import os
from pathlib import Path

from shared.environment import PREFIX

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
    """What the local stack was told, when there is one and nobody has said that the database is another one."""
    path = Path(os.environ.get(f"{PREFIX}DATA_DIR", ".toptank")) / FILE
    if not path.is_file():
        return {}
    told: dict[str, str] = json.loads(path.read_text())
    if os.environ.get(f"{PREFIX}DATABASE_URL") not in (None, "", told.get(f"{PREFIX}DATABASE_URL")):
        return {}
    return {name: value for name, value in told.items() if not os.environ.get(name)}
