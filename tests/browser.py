"""A real browser that plays what was made: headless Chromium opens a page, which plays and reports what it saw."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NPM = Path(__file__).with_name("node_modules")
REPORTS_WITHIN_S = 120
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt",
    ".jpg": "image/jpeg",
}


class _Handler(BaseHTTPRequestHandler):
    """Files by byte ranges, and a place for the page to report to."""

    protocol_version = "HTTP/1.1"
    files: dict[str, Path]
    reports: "Queue[dict[str, Any]]"

    def do_GET(self) -> None:
        path = next(
            (place / self.path[len(at) :] for at, place in self.files.items() if self.path.startswith(at)), None
        )
        if path is None or not path.is_file():
            self._answer(404, b"", "text/plain")
            return
        content = path.read_bytes()
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, content, TYPES[path.suffix])
            return
        start, stop = int(asked[1]), int(asked[2] or len(content) - 1) + 1
        where = {"Content-Range": f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"}
        self._answer(206, content[start:stop], TYPES[path.suffix], where)

    def do_POST(self) -> None:
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(204, b"", "text/plain")

    def _answer(self, status: int, body: bytes, media_type: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": media_type, "Accept-Ranges": "bytes", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def _serving(files: dict[str, Path]) -> Iterator[tuple[str, "Queue[dict[str, Any]]"]]:
    reports: Queue[dict[str, Any]] = Queue()
    handler = type("Handler", (_Handler,), {"files": files, "reports": reports})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", reports
        finally:
            server.shutdown()
            thread.join()


def reported_by(page: str, files: dict[str, Path], profile: Path) -> dict[str, Any]:
    """What the page posts to /report. `files` are folders or files by the beginning of their path in the URL."""
    assert CHROMIUM is not None
    with _serving(files) as (url, reports):
        browser = subprocess.Popen(
            [
                CHROMIUM,
                "--headless=new",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-dev-shm-usage",
                "--no-first-run",
                "--mute-audio",
                "--autoplay-policy=no-user-gesture-required",
                f"--user-data-dir={profile}",
                f"{url}{page}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return reports.get(timeout=REPORTS_WITHIN_S)
        except Empty:
            raise AssertionError("the page reported nothing") from None
        finally:
            browser.terminate()
            browser.wait()
