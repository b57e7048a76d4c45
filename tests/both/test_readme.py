"""The README's tour, command by command, on a running stack: what it prints is what the README says."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from shared.stack import Stack, StackSettings
from tests.both.terminal import PORTS
from tests.processes import free_port

ROOT = Path(__file__).parents[2]
TOUR_TAKES_S = 300
END = "--- end of command ---"


def tour() -> list[tuple[str, list[str]]]:
    """The tour's commands, each with the lines that it should print."""
    section = (ROOT / "README.md").read_text().split("## A five-minute tour")[1].split("\n## ")[0]
    lines = [line for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL) for line in block.splitlines()]
    steps: list[tuple[str, list[str]]] = []
    for line in lines:
        if line.startswith("$ "):
            steps.append((line[2:], []))
        else:
            steps[-1][1].append(line)
    return steps


def matches(printed: str, promised: list[str]) -> bool:
    """`...` in the README stands for whatever differs from run to run."""
    pattern = re.escape("\n".join(promised).strip()).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, printed.strip()) is not None


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder that looks like a fresh clone with the stack's data beside it."""
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    return tmp_path


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README's tour needs curl")
def test_the_tour_prints_what_the_readme_says(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ports = {name: str(free_port()) for name in PORTS}
    for name, port in ports.items():
        monkeypatch.setenv(f"TOPTANK_{name}_PORT", port)
    monkeypatch.setenv("TOPTANK_DATA_DIR", str(workplace / ".toptank"))
    monkeypatch.setenv("TOPTANK_BCRYPT_COST", "4")
    monkeypatch.delenv("TOPTANK_DATABASE_URL", raising=False)
    steps = tour()
    with Stack(StackSettings()) as stack:
        stack.start()
        script = "\n".join(f"{command}\necho '{END}'" for command, _ in steps)
        for told, name in ((":8000", "VPS"), (":8001", "CLOUD"), (":8003", "CATCHER")):
            script = script.replace(told, f":{ports[name]}")
        ran = subprocess.run(
            ["bash", "-c", script],
            cwd=workplace,
            capture_output=True,
            text=True,
            env=os.environ,
            check=False,
            timeout=TOUR_TAKES_S,
        )
    outputs = ran.stdout.split(END + "\n")
    assert len(outputs) == len(steps) + 1, ran.stderr
    wrong = [
        f"$ {command}\nprinted: {printed.strip()}\npromised: {promised}"
        for (command, promised), printed in zip(steps, outputs, strict=False)
        if not matches(printed, promised)
    ]
    assert wrong == [], "\n".join(wrong) + ran.stderr
