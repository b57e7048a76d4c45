"""What only a client may know is in no log of any process, however much is logged (abuse case 15)."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.both.people import PASSWORD, Person, buy, done, draft_course, make_student, nobody
from tests.both.playing import Link, link_of
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.clips import Clips
from tests.tus.uploads import begin

SETTINGS = {"TOPTANK_LOG_LEVEL": "debug"}
NAMES = re.compile(r"token|secret|password|otpauth|uri$|recovery|^code$|^totp$|^old$|^new$")
NO_SECRETS = {"token_type"}
LINK = re.compile(r"/play/([^/]+)/")
SHORT = 8
"""What is shorter has to stand alone: figures of a code are part of many a number."""


class Ear:
    """Hears all that clients and services say to each other, and remembers what is nobody else's business."""

    def __init__(self) -> None:
        self.secrets: set[str] = set()

    def on_request(self, request: httpx.Request) -> None:
        if token := request.headers.get("authorization", "").partition(" ")[2]:
            self.secrets.add(token)
        if request.headers.get("content-type") == "application/json":
            with suppress(ValueError):
                self.hear(json.loads(request.read()))

    def on_response(self, response: httpx.Response) -> None:
        if response.headers.get("content-type") == "application/json":
            with suppress(ValueError):  # to a HEAD, nothing
                self.hear(json.loads(response.read()))

    def hear(self, said: Any, name: str = "") -> None:
        if isinstance(said, dict):
            for key, value in said.items():
                self.hear(value, key)
        elif isinstance(said, list):
            for value in said:
                self.hear(value, name)
        elif isinstance(said, str):
            self.secrets |= set(LINK.findall(said))
            if NAMES.search(name) and name not in NO_SECRETS and not said.startswith("http"):
                self.secrets.add(said)


@pytest.fixture(scope="module")
def ear(toptank: TopTank) -> Iterator[Ear]:
    ear = Ear()
    hooks: dict[str, list[Callable[..., Any]]] = {"request": [ear.on_request], "response": [ear.on_response]}
    before, toptank.http.event_hooks = toptank.http.event_hooks, hooks
    toptank.simulator.start()
    toptank.cloud.worker.start()
    yield ear
    toptank.cloud.worker.stop()
    toptank.http.event_hooks = before


def logs(toptank: TopTank) -> dict[str, str]:
    """Of every process that writes one."""
    return {path.name: path.read_text() for path in Path(toptank.folder).rglob("*.log")}


def check(toptank: TopTank, secrets: set[str]) -> None:
    for name, text in logs(toptank).items():
        for secret in secrets:
            found = secret in text if len(secret) >= SHORT else re.search(rf"\b{re.escape(secret)}\b", text)
            assert not found, f"{name} tells {secret}"


def sign_in_in_every_way(toptank: TopTank, ear: Ear, who: Person) -> None:
    """Rightly, wrongly, with the password in the wrong place, anew, twice, and out again."""
    vps = nobody(toptank).vps
    answer = done(vps.post("/auth/login", json={"login": who.username, "password": PASSWORD}))
    vps.post("/auth/login", json={"login": who.username, "password": "wrong horse battery staple"})
    vps.post("/auth/login", json={"login": PASSWORD, "password": who.username})
    vps.post("/auth/login", json={"login": who.username, "password": PASSWORD, "pin": "hunter2-hunter2"})
    vps.post("/auth/login", content=b'{"password": "torn-in-the-midd', headers={"Content-Type": "application/json"})
    done(vps.post("/auth/refresh", json={"refresh_token": answer["refresh_token"]}))
    vps.post("/auth/refresh", json={"refresh_token": answer["refresh_token"]})
    done(vps.post("/auth/logout", json={"refresh_token": answer["refresh_token"]}), 204)
    ear.secrets |= {"hunter2-hunter2", "torn-in-the-midd"}


def buy_and_watch(toptank: TopTank, teacher: Person, student: Person, clips: Clips) -> Link:
    """All that becomes of a film: uploaded in both ways, sold, processed, watched, its parts asked for too."""
    course = draft_course(toptank, teacher, 10_000)
    film = str(done(teacher.upload(course.lesson_id, clips.film), 201)["id"])
    course.publish()
    eventually(lambda: course.video_ids() == [film])
    buy(toptank, student, course)
    eventually(lambda: done(student.cloud.get(f"/videos/{film}"))["status"] == "ready", PROCESSED_WITHIN_S)
    link = link_of(toptank, student, film)
    for name in ("master.m3u8", "poster.jpg", "sd.mp4", "no-such-file", "../x"):
        link.to(name).follow(Range="bytes=0-99")
    begin(student, 100).delete()
    return link


def misplace(toptank: TopTank, who: Person, secret: str) -> None:
    """Where clients put tokens by mistake."""
    for base in (f"{toptank.vps.url}/api/auth/me", f"{toptank.cloud.url}/uploads/permission"):
        toptank.http.get(base, params={"access_token": secret, "token": secret})
        toptank.http.get(f"{base}/{secret}")
        toptank.http.get(base, headers={"Cookie": f"token={secret}", "Referer": f"http://x/?token={secret}"})
        toptank.http.get(base, headers={"Authorization": f"Basic {secret}", "User-Agent": secret})


def test_no_log_tells_what_was_said_in_confidence(toptank: TopTank, ear: Ear, teacher: Person, clips: Clips) -> None:
    student = make_student(toptank)
    sign_in_in_every_way(toptank, ear, student)
    link = buy_and_watch(toptank, teacher, student, clips)
    refresh = sorted(secret for secret in ear.secrets if len(secret) == len("x" * 43))
    for secret in (student.token, link.token, *refresh[:2]):
        misplace(toptank, student, secret)
    assert {student.token, link.token, PASSWORD, *refresh} <= ear.secrets
    assert {"vps.log", "node-1.log", "node-1-worker.log"} <= logs(toptank).keys()
    assert any('"level": "debug"' in text for text in logs(toptank).values())
    check(toptank, ear.secrets)


def test_nor_does_it_when_something_breaks(toptank: TopTank, ear: Ear) -> None:
    """A traceback repeats no password, no token, and nothing of the row that the database refused."""
    student = make_student(toptank)
    toptank.sql("ALTER TABLE refresh_tokens RENAME TO lost")
    try:
        for path, told in (
            ("/auth/login", {"login": student.username, "password": PASSWORD}),
            ("/auth/refresh", {"refresh_token": "opaque-" * 5}),
        ):
            answer = nobody(toptank).vps.post(path, json=told, headers={"Connection": "close"})
            assert answer.status_code == 500
    finally:
        toptank.sql("ALTER TABLE lost RENAME TO refresh_tokens")
    assert "Traceback" in logs(toptank)["vps.log"]
    (stored,) = toptank.sql("SELECT password_hash, email FROM users WHERE id = %s", student.id)
    check(toptank, ear.secrets | set(stored) | {"opaque-" * 5})


def test_what_is_looked_for_would_be_found(toptank: TopTank) -> None:
    """The names of people and their requests are there."""
    text = logs(toptank)["vps.log"]
    assert "/api/auth/login" in text
    with pytest.raises(AssertionError, match="tells"):
        check(toptank, {"/api/auth/login"})
