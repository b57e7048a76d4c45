"""Looking into many files without starting Python for each, which takes ten times as long as the looking does.

`python -m tests.cloud.inspecting` forks for every file that a line of its input names: the fork does all that a process
started by the node does, from confining itself on.
"""

import io
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import Any, Self

from cloud_service.uploads import inspection
from cloud_service.uploads.probe import TIMEOUT_S


class Inspector:
    def __enter__(self) -> Self:
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def look(self, path: Path) -> dict[str, Any]:
        """What was found, or the `reason`. Fails when the process did not end well, or not in time."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{path}\n")
        self._process.stdin.flush()
        code, said = json.loads(self._process.stdout.readline())
        assert code == 0, f"{path}: ended with {code}"
        found: dict[str, Any] = json.loads(said)
        return found


def _in_a_fork(path: str) -> tuple[int, str]:
    reader, writer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        os.dup2(writer, sys.stdout.fileno())
        try:
            sys.stdin = io.StringIO(json.dumps([path]) + "\n")
            inspection.main(str(parent))
            sys.stdout.flush()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writer)
    said, deadline = b"", time.monotonic() + TIMEOUT_S
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0, deadline - time.monotonic()))[0] and (part := pipe.read(65536)):
            said += part
        if time.monotonic() >= deadline:
            os.kill(child, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode()


if __name__ == "__main__":
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_in_a_fork(line.rstrip("\n"))) + "\n")
        sys.stdout.flush()
