"""Uploading 1 GiB, against the barest handler that also syncs; and how much memory it takes."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench.figures import Figure, compared
from tests.bench.rig import Rig, make_film
from tests.processes import free_port

GIB = 2**30
MIB = 2**20


@contextmanager
def bare_server(target: Path) -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen([sys.executable, "-m", "tests.bench.bare_upload", str(port), str(target)])
    url = f"http://127.0.0.1:{port}/"
    try:
        while True:
            try:
                httpx.get(url)
                break
            except httpx.ConnectError:
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        process.wait()
        target.unlink(missing_ok=True)


def send(url: str, film: Path, headers: dict[str, str]) -> tuple[float, bytes]:
    """Seconds until the answer, and the answer, with the file sent by the kernel. Raises ValueError but for a 201."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    size = film.stat().st_size
    lines = [f"POST {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {size}", "Connection: close"]
    head = "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items())]) + "\r\n\r\n"
    started = time.perf_counter()
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as sock, film.open("rb") as body:
        sock.sendall(head.encode())
        sock.sendfile(body)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    if not answer.startswith(b"HTTP/1.1 201"):
        raise ValueError(answer[:500])
    return time.perf_counter() - started, answer


def memory(pid: int, line: str) -> int:
    """A line of /proc/PID/status in bytes: VmRSS now, VmHWM at its highest."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def measure(rig: Rig) -> list[Figure]:
    film = make_film(rig.folder / "large.mp4", GIB)
    lesson = rig.add_lesson()
    ours_url = f"{rig.cloud}/videos?lesson_id={lesson}"

    def upload() -> float:
        took, answer = send(ours_url, film, rig.teacher)
        location = re.search(rb"location: (\S+)", answer)
        assert location
        httpx.delete(rig.cloud + location[1].decode(), headers=rig.teacher).raise_for_status()
        return film.stat().st_size / MIB / took

    pid = rig.pid("cloud")
    Path(f"/proc/{pid}/clear_refs").write_text("5")  # start VmHWM anew
    before = memory(pid, "VmRSS")
    upload()
    grown = (memory(pid, "VmHWM") - before) / MIB
    with bare_server(rig.folder / "bare.mp4") as bare:
        speed = compared(
            "upload of 1 GiB, against a bare loop with fsync",
            "MiB/s",
            ">= 0.8",
            upload,
            lambda: film.stat().st_size / MIB / send(bare, film, {})[0],
        )
    film.unlink()
    os.sync()
    return [speed, Figure("memory that an upload of 1 GiB adds at most", round(grown, 1), "MiB", target="< 32")]
