"""Everybody whom the table of `policy` tells apart, what is theirs, and requests of theirs as it writes them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx

from tests.both.people import (
    PASSWORD,
    Api,
    Person,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    nobody,
    signed_in,
)
from tests.both.playing import CAPTIONS, Link, link_of
from tests.both.policy import Rule
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.clips import Clips
from tests.documents import PDF
from tests.tus.table import metadata
from tests.tus.uploads import begin

NAME = re.compile(r"\{(\w+)\}")
PRICE = 10_000


@dataclass
class Tenants:
    """`ids` are what a path's names stand for, `practice` and `draft` those that a row's `#` puts in their place."""

    toptank: TopTank
    people: dict[str, Person]
    ids: dict[str, str]
    instead: dict[str, dict[str, str]]
    bytes: dict[str, bytes]

    def send(self, service: str, route: str, rule: Rule, actor: str) -> httpx.Response:
        """As this row of the table says, to what is there."""
        plain, _, kind = route.partition(" #")
        return self.send_to(service, plain, rule, actor, self.ids | self.instead.get(kind, {}))

    def send_to(self, service: str, route: str, rule: Rule, actor: str, ids: dict[str, str]) -> httpx.Response:
        def named(value: Any) -> Any:
            return NAME.sub(lambda found: ids[found[1]], value) if isinstance(value, str) else value

        method, _, path = route.partition(" ")
        more: dict[str, Any] = {"headers": {name: named(value) for name, value in rule.headers.items()}}
        if rule.query:
            more["params"] = {name: named(value) for name, value in rule.query.items()}
        if rule.json is not None:
            more["json"] = {name: named(value) for name, value in rule.json.items()}
        if rule.content:
            more["content"] = self.bytes[rule.content]
        return self.api(service, actor).send(method, named(path), **more)

    def api(self, service: str, actor: str) -> Api:
        """The whole of a service, `/api` and all else."""
        api: Api = getattr(self.people[actor], service)
        return replace(api, base=api.base.removesuffix("/api"))

    def sign_in_again(self, actor: str) -> None:
        """If what was tried has signed them out."""
        person = self.people[actor]
        if actor not in ("nobody", "banned") and person.vps.get("/auth/me").status_code != 200:
            login = {"login": person.username, "password": PASSWORD}
            self.people[actor] = signed_in(self.toptank, done(nobody(self.toptank).vps.post("/auth/login", json=login)))

    def banned_is_known(self) -> bool:
        return self.people["banned"].watch(self.ids["video_id"]).status_code == 401


def make_tenants(toptank: TopTank, clips: Clips) -> Tenants:
    owner, rival = make_teacher(toptank), make_teacher(toptank)
    student, buyer, banned, somebody = (make_student(toptank) for _ in range(4))
    admin = make_admin(toptank)
    people = {
        **{"nobody": nobody(toptank), "banned": banned, "student": student, "buyer": buyer},
        **{"owner": owner, "rival": rival, "admin": admin},
    }
    course, draft = draft_course(toptank, owner, PRICE), draft_course(toptank, owner, PRICE)
    course.publish()
    stored: Callable[[str], Any] = lambda one: toptank.sql("SELECT 1 FROM videos WHERE id = %s", one)  # noqa: E731
    film = str(done(owner.upload(course.lesson_id, clips.film), 201)["id"])
    file = str(done(owner.cloud.post(f"/files?lesson_id={course.lesson_id}&name=a.pdf", content=PDF), 201)["id"])
    practice = str(done(buyer.cloud.post("/videos?kind=practice&title=Scales", content=clips.film), 201)["id"])
    done(owner.cloud.put(f"/videos/{film}/captions/ar", content=CAPTIONS))
    eventually(lambda: all(stored(one) for one in (film, file, practice)))
    bought = buy(toptank, buyer, course)
    ids = {
        "course_id": course.id,
        "draft_id": draft.id,
        "section_id": course.section_id,
        "lesson_id": course.lesson_id,
        "video_id": film,
        "file_id": file,
        "upload_id": begin(buyer, len(clips.film)).id,
        "payment_id": bought["payment"]["id"],
        "key_id": bought["key"]["id"],
        "user_id": somebody.id,
        "username": rival.username,
        "image_id": done(owner.vps.get("/auth/me"))["image"]["square"].split("/")[-2],
        "session_id": done(buyer.vps.get("/auth/sessions"))["items"][0]["id"],
        "size": "square",
        "provider": "simulator",
        "language": "ar",
        "into_lesson": metadata(lesson_id=course.lesson_id),
    }
    tenants = Tenants(
        toptank,
        people,
        ids,
        {"practice": {"video_id": practice}, "draft": {"course_id": draft.id}},
        {"film": clips.film, "beginning": clips.film[:1000], "captions": CAPTIONS, "document": PDF},
    )
    process(tenants)
    link: Link = link_of(toptank, buyer, film)
    ids |= {"token": link.token, "name": link.name}
    done(admin.vps.post(f"/admin/users/{banned.id}/ban"))
    eventually(tenants.banned_is_known)
    return tenants


def process(tenants: Tenants) -> None:
    """So that all that is made of a video is there, and nothing more happens to them by itself."""
    videos = [tenants.ids["video_id"], tenants.instead["practice"]["video_id"]]
    ready = "SELECT 1 FROM videos WHERE id = ANY(%s::uuid[]) AND status = 'ready'"
    tenants.toptank.cloud.worker.start()
    try:
        eventually(lambda: len(tenants.toptank.sql(ready, videos)) == len(videos), PROCESSED_WITHIN_S)
    finally:
        tenants.toptank.cloud.worker.stop()
