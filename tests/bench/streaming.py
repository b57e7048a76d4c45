"""A warm, authorised 1 MiB range against nginx sending the same range of the same file to anyone."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench import load
from tests.bench.figures import Figure, compared
from tests.bench.rig import Rig
from tests.processes import free_port

MIB = 2**20
FILM_MIB = 64

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 256; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
"""


@contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """One worker, as we are one process; the URL of what it serves."""
    port = free_port()
    configuration = folder / "nginx.conf"
    configuration.write_text(NGINX.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-c", configuration, "-p", folder])
    try:
        time.sleep(0.5)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def ranges(url: str, headers: dict[str, str]) -> list[bytes]:
    return [
        load.request(url, {**headers, "Range": f"bytes={start * MIB}-{(start + 1) * MIB - 1}"})
        for start in range(FILM_MIB)
    ]


def measure(rig: Rig, film: Path, video_id: str) -> list[Figure]:
    if shutil.which("nginx") is None:
        print("nginx is not installed: the streaming figure is left out")
        return []
    served = rig.folder / "peer"
    served.mkdir(exist_ok=True)
    (served / film.name).hardlink_to(film)
    for folder in (served, *served.parents):
        if folder.is_relative_to(rig.folder):
            folder.chmod(0o755)  # nginx's worker is not us
    with nginx(served) as peer:
        ours_url, peer_url = f"{rig.cloud}/videos/{video_id}/stream", f"{peer}/{film.name}"
        ours, theirs = ranges(ours_url, rig.student), ranges(peer_url, {})
        for url, requests in ((ours_url, ours), (peer_url, theirs)):
            load.run(url, requests, status=206, seconds=None)
        return [
            compared(
                "warm authorised 1 MiB range, against nginx",
                "req/s",
                ">= 0.6",
                lambda: load.run(ours_url, ours, status=206).rate,
                lambda: load.run(peer_url, theirs, status=206).rate,
            )
        ]
