"""The JavaScript that resumable uploads are tried with: `make test` installs it where there is Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

from shared.localdb import die_with_parent

FOLDER = Path(__file__).parent
INSTALLED = FOLDER.with_name("node_modules") / ".ready"

needs_node = pytest.mark.skipif(
    not (shutil.which("node") and INSTALLED.exists()),
    reason="needs Node and tests/node_modules, which `make test` installs",
)


def start(script: str, *arguments: str) -> subprocess.Popen[str]:
    """Talks over its standard input and output, line by line, and ends with its input or with us."""
    return subprocess.Popen(
        ["node", FOLDER / script, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=die_with_parent,
    )
