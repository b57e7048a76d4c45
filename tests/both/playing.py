"""Playbacks as clients begin them, and links as players follow them: with nothing but the link."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from tests.both.people import Course, Person, done
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.both.wire import Answer, Wire

CAPTIONS = b"WEBVTT\n\n00:00.000 --> 00:01.000\nAllegro\n"


@dataclass(frozen=True)
class Link:
    """What a playback's token opens at `node`, the address of one."""

    node: str
    token: str
    name: str

    @property
    def url(self) -> str:
        return f"{self.node}/play/{self.token}/{self.name}"

    def with_token(self, token: str) -> "Link":
        return replace(self, token=token)

    def to(self, name: str) -> "Link":
        return replace(self, name=name)

    def at(self, node: str) -> "Link":
        return replace(self, node=node)

    def follow(self, **headers: str) -> Answer:
        """On a connection of its own, and byte for byte as it is written."""
        return ask(self.node, f"/play/{self.token}/{self.name}", headers)

    def check_refused(self, status: int, code: str) -> None:
        answer = self.follow()
        assert (answer.status, code_of(answer)) == (status, code), self


def ask(service: str, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    with Wire(service) as wire:
        return wire.request(method, target, headers or {}).answer(method)


def ask_all(service: str, targets: Iterable[str], headers: dict[str, str]) -> Iterator[tuple[str, Answer]]:
    """One after the other, on as few connections as the service lets it be."""
    wire = Wire(service)
    try:
        for target in targets:
            answer = wire.request("GET", target, headers).answer()
            yield target, answer
            if answer.headers.get("connection") == "close":
                wire.finish()
                wire = Wire(service)
    finally:
        wire.finish()


def code_of(answer: Answer) -> str | None:
    """Of a problem; None when it is none."""
    if answer.headers.get_content_type() != "application/problem+json":
        return None
    return str(json.loads(answer.body)["code"])


def begin(toptank: TopTank, who: Person, video_id: str) -> dict[str, Any]:
    """A playback, whose token no log may tell."""
    began: dict[str, Any] = done(who.cloud.post(f"/videos/{video_id}/playback"), 201)
    toptank.told.add(link_in(began).token)
    return began


def link_in(began: dict[str, Any]) -> Link:
    """The first link of a playback: to its master playlist, or to the one file that there is."""
    parts = urlsplit(began["hls"] or began["mp4"][0]["url"])
    _, _, token, name = parts.path.split("/", 3)
    return Link(f"{parts.scheme}://{parts.netloc}", token, name)


def link_of(toptank: TopTank, who: Person, video_id: str) -> Link:
    return link_in(begin(toptank, who, video_id))


def add_film(course: Course, film: bytes, lesson_id: str | None = None) -> str:
    """Its id, once the VPS has heard of it."""
    video_id = str(done(course.teacher.upload(lesson_id or course.lesson_id, film), 201)["id"])
    eventually(lambda: video_id in course.video_ids())
    return video_id


def is_ready(teacher: Person, video_id: str) -> bool:
    return bool(done(teacher.cloud.get(f"/videos/{video_id}"))["status"] == "ready")


def wait_until_ready(teacher: Person, video_id: str) -> None:
    eventually(lambda: is_ready(teacher, video_id), PROCESSED_WITHIN_S)
