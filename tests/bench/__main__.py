"""`make bench`: every figure with its peer in the same run, as a table and in .toptank/bench.json."""

import argparse
import asyncio
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from tests.bench import (
    accounts,
    catalogue,
    checks,
    feed,
    follows,
    guessing,
    playback,
    processing,
    revocation,
    uploads,
)
from tests.bench.figures import Figure, table
from tests.bench.rig import Rig, running_rig

FOLDER = Path(".toptank/bench").absolute()
REPORT = Path(".toptank/bench.json")
FILM_BYTES = 16 * 2**20


def machine() -> str:
    names = {line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line}
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    memory = f"{kilobytes / 2**20:.0f} GiB"
    return f"{os.cpu_count()} x {', '.join(sorted(names))}, {memory}, Python {platform.python_version()}"


def of_videos(rig: Rig) -> list[Figure]:
    video_id = rig.upload(rig.film(FILM_BYTES))["id"]
    rig.wait_until_ready(video_id)
    return [
        *playback.measure(rig),
        *checks.measure(rig, video_id),
        feed.catch_up(rig),
        *uploads.measure(rig),
        *processing.measure(rig),
    ]


def of_nodes(rig: Rig) -> list[Figure]:
    return [feed.idle_cost(rig), *asyncio.run(revocation.measure(rig))]


def of_accounts(rig: Rig) -> list[Figure]:
    return [*accounts.measure(rig), *follows.measure(rig), *guessing.measure(rig)]


PARTS = {
    "videos": (1, of_videos),
    "nodes": (3, of_nodes),
    "accounts": (1, of_accounts),
    "courses": (1, catalogue.measure),
}
"""Each in a stack of its own, of so many nodes."""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)} (default: everything)")
    parts = parser.parse_args().parts or [*PARTS]
    if unknown := {*parts} - {*PARTS}:
        parser.error(f"there is no part {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    for part in parts:
        nodes, measure = PARTS[part]
        shutil.rmtree(FOLDER, ignore_errors=True)
        with running_rig(FOLDER, nodes) as rig:
            figures += measure(rig)
    shutil.rmtree(FOLDER, ignore_errors=True)
    REPORT.write_text(json.dumps([figure.as_dict() for figure in figures], indent=2) + "\n")
    print(f"{machine()}\n\n{table(figures)}\n\nwritten to {REPORT}")
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
