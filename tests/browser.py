"""A real browser: headless Chromium opens a page, which plays or opens what there is, and reports what it saw."""

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Self

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
NPM = Path(__file__).with_name("node_modules")
REPORTS_WITHIN_S = 120
LOOK_AGAIN_S = 0.2
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt",
    ".jpg": "image/jpeg",
}


@dataclass(frozen=True)
class Answer:
    """`headers` without the body's length."""

    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200


Answers = Callable[[str], Answer]
"""By what comes behind the beginning of the path."""


class _Handler(BaseHTTPRequestHandler):
    """Files by byte ranges, and a place for the page to report to."""

    protocol_version = "HTTP/1.1"
    files: dict[str, Path]
    answers: Mapping[str, Answers]
    reports: "Queue[dict[str, Any]]"

    def do_GET(self) -> None:
        for at, answers in self.answers.items():
            if self.path.startswith(at):
                answer = answers(self.path[len(at) :])
                self._answer(answer.status, answer.body, answer.headers)
                return
        asked_for = self.path.partition("?")[0]
        path = next(
            (place / asked_for[len(at) :] for at, place in self.files.items() if asked_for.startswith(at)), None
        )
        if path is None or not path.is_file():
            self._answer(404, b"", {"Content-Type": "text/plain"})
            return
        content, told = path.read_bytes(), {"Content-Type": TYPES[path.suffix], "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if asked is None:
            self._answer(200, content, told)
            return
        start, stop = int(asked[1]), int(asked[2] or len(content) - 1) + 1
        where = {"Content-Range": f"bytes {start}-{min(stop, len(content)) - 1}/{len(content)}"}
        self._answer(206, content[start:stop], told | where)

    def do_POST(self) -> None:
        self.reports.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self._answer(204, b"", {})

    def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@contextmanager
def serving(files: dict[str, Path], answers: Mapping[str, Answers]) -> Iterator[tuple[str, "Queue[dict[str, Any]]"]]:
    """The address, and what is posted there."""
    reports: Queue[dict[str, Any]] = Queue()
    handler = type("Handler", (_Handler,), {"files": files, "answers": answers, "reports": reports})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", reports
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def showing(address: str, profile: Path) -> Iterator[None]:
    """A browser that shows this page, as long as the block lasts."""
    assert CHROMIUM is not None
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
            address,
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        browser.terminate()
        browser.wait()


@dataclass(frozen=True)
class Page:
    """One that does as it is told, and says what came of it: it fetches /next for that, and posts to /report."""

    url: str
    reports: "Queue[dict[str, Any]]"
    _orders: "Queue[dict[str, Any]]"

    def ask(self, what: str, **given: Any) -> Any:
        self._orders.put({"what": what, "given": given})
        try:
            answer = self.reports.get(timeout=REPORTS_WITHIN_S)
        except Empty:
            raise AssertionError(f"the page did not report on: {what}") from None
        assert "error" not in answer, f"{what}: {answer['error']}"
        return answer["said"]

    @contextmanager
    def shown(self, path: str, profile: Path) -> Iterator[Self]:
        with showing(f"{self.url}{path}", profile):
            yield self


@contextmanager
def served(files: dict[str, Path]) -> Iterator[Page]:
    """From an address of its own; nobody looks at it yet."""
    orders: Queue[dict[str, Any]] = Queue()

    def following(_: str) -> Answer:
        try:
            order = orders.get(timeout=LOOK_AGAIN_S)
        except Empty:
            order = {}
        return Answer(json.dumps(order).encode(), {"Content-Type": "application/json"})

    with serving(files, {"/next": following}) as (url, reports):
        yield Page(url, reports, orders)


def reported_by(
    page: str, files: dict[str, Path], profile: Path, answers: Mapping[str, Answers] | None = None
) -> dict[str, Any]:
    """What the page posts to /report.

    `files` are folders or files by the beginning of their path in the URL; what `answers` is by another beginning.
    """
    with serving(files, answers or {}) as (url, reports), showing(f"{url}{page}", profile):
        try:
            return reports.get(timeout=REPORTS_WITHIN_S)
        except Empty:
            raise AssertionError("the page reported nothing") from None
