"""`make bench`: every figure with its peer in the same run, as a table and in .toptank/bench.json."""

import asyncio
import json
import os
import platform
import shutil
import sys
from pathlib import Path

from tests.bench import checks, feed, playback, processing, revocation, uploads
from tests.bench.figures import table
from tests.bench.rig import running_rig

FOLDER = Path(".toptank/bench").absolute()
REPORT = Path(".toptank/bench.json")
FILM_BYTES = 16 * 2**20


def machine() -> str:
    names = {line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line}
    kilobytes = int(Path("/proc/meminfo").read_text().split()[1])
    memory = f"{kilobytes / 2**20:.0f} GiB"
    return f"{os.cpu_count()} x {', '.join(sorted(names))}, {memory}, Python {platform.python_version()}"


def main() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    with running_rig(FOLDER) as rig:
        video_id = rig.upload(rig.film(FILM_BYTES))["id"]
        rig.wait_until_ready(video_id)
        figures = [
            *playback.measure(rig),
            *checks.measure(rig, video_id),
            feed.catch_up(rig),
            *uploads.measure(rig),
            *processing.measure(rig),
        ]
    shutil.rmtree(FOLDER, ignore_errors=True)
    with running_rig(FOLDER, nodes=3) as rig:
        figures += [feed.idle_cost(rig), *asyncio.run(revocation.measure(rig))]
    shutil.rmtree(FOLDER, ignore_errors=True)
    REPORT.write_text(json.dumps([figure.as_dict() for figure in figures], indent=2) + "\n")
    print(f"{machine()}\n\n{table(figures)}\n\nwritten to {REPORT}")
    sys.exit(any(figure.holds is False for figure in figures))


if __name__ == "__main__":
    main()
