"""Uploads in one request and resumable ones, against tus's own server and the barest handler that also syncs."""

import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from tests.bench.figures import ALTERNATIONS, Figure
from tests.bench.rig import Rig, make_film
from tests.processes import free_port
from tests.tus.node import INSTALLED
from tests.tus.node import start as start_node

GIB = 2**30
MIB = 2**20
PACED_BYTES = 64 * 1024
"""As a line does, and not in bursts."""
PARALLEL, EACH_BYTES = 100, 12 * MIB
TUS_HEADERS = {"Tus-Resumable": "1.0.0"}


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


@contextmanager
def tus_server(folder: Path) -> Iterator[str]:
    """@tus/server with @tus/file-store, where it is installed."""
    folder.mkdir()
    process = start_node("peer.mjs", str(folder), str(2 * GIB))
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield f"http://127.0.0.1:{int(process.stdout.readline())}/uploads"
    finally:
        process.stdin.close()
        process.wait()


def send(
    url: str, film: Path, headers: dict[str, str], method: str = "POST", *, bytes_per_s: float = float("inf")
) -> tuple[float, bytes]:
    """Seconds until the answer, and the answer, with the file sent by the kernel. Raises ValueError for a refusal."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    size = film.stat().st_size
    lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {size}", "Connection: close"]
    head = "\r\n".join([*lines, *(f"{k}: {v}" for k, v in headers.items())]) + "\r\n\r\n"
    started = time.perf_counter()
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as sock, film.open("rb") as body:
        sock.sendall(head.encode())
        step = size if bytes_per_s == float("inf") else PACED_BYTES
        for at in range(0, size, step):
            time.sleep(max(0.0, started + at / bytes_per_s - time.perf_counter()))
            sock.sendfile(body, at, step)
        answer = b"".join(iter(lambda: sock.recv(65536), b""))
    if not answer.startswith((b"HTTP/1.1 201", b"HTTP/1.1 204")):
        raise ValueError(answer[:500])
    return time.perf_counter() - started, answer


def memory(pid: int, line: str) -> int:
    """A line of /proc/PID/status in bytes: VmRSS now, VmHWM at its highest."""
    found = re.search(rf"{line}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


def measure(rig: Rig) -> list[Figure]:
    with rig.worker_asleep():
        film = make_film(rig.folder / "large.mp4", GIB)
        figures = [*_speeds(rig, film), _memory_of_one(rig, film), _memory_of_many(rig)]
        film.unlink()
    return figures


def _in_one_request(rig: Rig, film: Path) -> Callable[[], float]:
    """MiB a second."""
    lesson = rig.add_lesson()

    def upload() -> float:
        took, answer = send(f"{rig.cloud}/videos?lesson_id={lesson}", film, rig.teacher)
        location = re.search(rb"location: (\S+)", answer)
        assert location
        httpx.delete(rig.cloud + location[1].decode(), headers=rig.teacher).raise_for_status()
        return film.stat().st_size / MIB / took

    return upload


def _resumable(url: str, film: Path, headers: dict[str, str], metadata: dict[str, str]) -> Callable[[], float]:
    """MiB a second, with its creation."""
    told = ",".join(f"{name} {b64encode(value.encode()).decode()}" for name, value in metadata.items())
    size = film.stat().st_size

    def upload() -> float:
        started = time.perf_counter()
        lengths = {"Upload-Length": str(size), "Upload-Metadata": told}
        begun = httpx.post(url, headers={**headers, **TUS_HEADERS, **lengths}).raise_for_status()
        where = str(httpx.URL(url).join(begun.headers["Location"]))
        body = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
        send(where, film, {**headers, **TUS_HEADERS, **body}, "PATCH")
        took = time.perf_counter() - started
        gone = where.replace("/uploads/", "/videos/") if headers else where
        httpx.delete(gone, headers={**headers, **TUS_HEADERS}).raise_for_status()
        return size / MIB / took

    return upload


def _bare(url: str, film: Path, stored: Path) -> Callable[[], float]:
    """MiB a second."""

    def upload() -> float:
        took, _ = send(url, film, {})
        stored.unlink()
        return film.stat().st_size / MIB / took

    return upload


def _speeds(rig: Rig, film: Path) -> list[Figure]:
    """In rounds in which each of them has a turn, each of them first once or twice."""
    with ExitStack() as stack:
        bare = stack.enter_context(bare_server(rig.folder / "bare.mp4"))
        turns: dict[str, Callable[[], float]] = {
            "one": _in_one_request(rig, film),
            "tus": _resumable(f"{rig.cloud}/uploads", film, rig.teacher, {"lesson_id": rig.add_lesson()}),
            "bare": _bare(bare, film, rig.folder / "bare.mp4"),
        }
        if INSTALLED.exists():
            peer = stack.enter_context(tus_server(rig.folder / "tus-peer"))
            turns["peer"] = _resumable(peer, film, {}, {"filename": "film.mp4"})
        rounds = [{name: _alone(turns[name], film) for name in _rotated(list(turns), n)} for n in range(ALTERNATIONS)]

    def figure(name: str, ours: str, theirs: str, target: str) -> Figure:
        ratio = statistics.median(speeds[ours] / speeds[theirs] for speeds in rounds)
        mine, its = (statistics.median(speeds[side] for speeds in rounds) for side in (ours, theirs))
        return Figure(name, round(mine, 1), "MiB/s", round(its, 1), round(ratio, 3), target)

    figures = [
        figure("upload of 1 GiB, against a bare loop with fsync", "one", "bare", ">= 0.8"),
        figure("resumable upload of 1 GiB, against the same", "tus", "bare", ">= 0.8"),
    ]
    if "peer" in turns:
        figures += [
            figure("upload of 1 GiB, against @tus/server", "one", "peer", ">= 1"),
            figure("resumable upload of 1 GiB, against @tus/server", "tus", "peer", ">= 1"),
        ]
    return figures


def _rotated(names: list[str], by: int) -> list[str]:
    by %= len(names)
    return names[by:] + names[:by]


def _alone(upload: Callable[[], float], film: Path) -> float:
    """After a copy of the film was written, synced and removed: what was done before is no help and no burden."""
    copy = shutil.copyfile(film, film.with_name("before"))
    os.sync()
    copy.unlink()
    return upload()


def _memory_of_one(rig: Rig, film: Path) -> Figure:
    pid = rig.pid("cloud")
    before = _settled(pid)
    _in_one_request(rig, film)()
    grown = (memory(pid, "VmHWM") - before) / MIB
    return Figure("memory that an upload of 1 GiB adds at most", round(grown, 1), "MiB", target="< 32")


def _memory_of_many(rig: Rig) -> Figure:
    """Each has sent most of what it declared, and all wait for the rest."""
    pid = rig.pid("cloud")
    clip = make_film(rig.folder / "clip.mp4", EACH_BYTES).read_bytes()
    before = _settled(pid)
    parts = urlsplit(rig.cloud)
    headers = "".join(f"{name}: {value}\r\n" for name, value in rig.teacher.items())
    sockets = []
    for number in range(PARALLEL):
        sock = socket.create_connection((parts.hostname or "", parts.port or 80))
        target = f"/videos?kind=practice&title=Scale+{number}"
        head = f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(clip) + 1}\r\n{headers}\r\n"
        sock.sendall(head.encode())
        sockets.append(sock)
    for start in range(0, len(clip), MIB):
        for sock in sockets:
            sock.sendall(clip[start : start + MIB])
    grown = (memory(pid, "VmHWM") - before) / MIB / PARALLEL
    for sock in sockets:
        sock.close()
    return Figure(f"memory of each of {PARALLEL} uploads at once", round(grown, 2), "MiB", target="< 4")


def _settled(pid: int) -> int:
    """What it takes now; VmHWM begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return memory(pid, "VmRSS")
