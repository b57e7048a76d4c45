"""Every file on a node's disk, by every address that could lead to it, for everybody (abuse cases 42, 50).

What there is, is read from the disk, and what can be asked for, from the OpenAPI document: a new kind of file and a
new route fail here until somebody has said who gets them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.both.people import (
    Person,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    nobody,
)
from tests.both.playing import CAPTIONS, Link, add_film, ask, ask_all, link_of, wait_until_ready
from tests.both.toptank import Service, TopTank, Worker, eventually
from tests.clips import Clips
from tests.documents import PDF
from tests.tus.uploads import begin as begin_upload

PRICE = 25_000
SOME = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OF_A_VIDEO = rf"media/videos/{SOME}/(?P<video>{SOME})"
LINKED = {
    rf"{OF_A_VIDEO}/(master\.m3u8)": r"{}",
    rf"{OF_A_VIDEO}/((?:sd|hd|full_hd)\.(?:m3u8|mp4))": r"{}",
    rf"{OF_A_VIDEO}/(poster\.jpg)": r"{}",
    rf"{OF_A_VIDEO}/(storyboard\.(?:jpg|vtt))": r"{}",
    rf"{OF_A_VIDEO}/captions\.([A-Za-z0-9-]+)\.vtt": r"captions/{}.vtt",
}
"""Files that links lead to, and how the links name them."""
UNLINKED = (
    rf"{OF_A_VIDEO}/original",  # but to keep it, where that is allowed
    rf"{OF_A_VIDEO}/video\.json",
    rf"media/parts/{SOME}",
    rf"media/begun/{SOME}\.json",
    rf"media/work/{SOME}/.+",
    r"media/scratch/.+",
    r"lock",
    r"node\.sqlite3",
    r"node\.sqlite3-wal",
    r"node\.sqlite3-shm",
)
"""Files that no link leads to."""
WHO = {
    "nobody": 401,
    "stranger": 403,
    "another teacher": 403,
    "buyer": 200,
    "ex-buyer": 403,
    "banned buyer": 401,
    "owner": 200,
    "admin": 200,
}
"""What each is answered about the film of a course that has a price."""
HAD_A_LINK = {"ex-buyer": (403, "key_required"), "banned buyer": (410, "playback_expired")}
"""Whose playback began while they might, and how its links answer now."""


@dataclass(frozen=True)
class Scene:
    """A course with a film that everything was made of, captions and a file; and an upload that is not finished."""

    toptank: TopTank
    film: str
    file: str
    people: dict[str, Person]
    old_links: dict[str, Link]

    @property
    def folder(self) -> Path:
        return self.toptank.cloud.folder

    def on_disk(self) -> list[str]:
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())

    def names(self) -> dict[str, str]:
        """The names by which links lead to the film's files, and which file each is."""
        found = {}
        for path in self.on_disk():
            for pattern, name in LINKED.items():
                if (match := re.fullmatch(pattern, path)) and match["video"] == self.film:
                    found[name.format(match[2])] = path
        return found

    def link(self, who: str) -> Link:
        return link_of(self.toptank, self.people[who], self.film)


@pytest.fixture(scope="module")
def worker(toptank: TopTank) -> Iterator[Worker]:
    toptank.cloud.worker.start()
    yield toptank.cloud.worker
    assert toptank.cloud.worker.stop() == 0


@pytest.fixture(scope="module")
def scene(toptank: TopTank, teacher: Person, worker: Worker, clips: Clips) -> Iterator[Scene]:
    toptank.simulator.start()
    course, admin = draft_course(toptank, teacher, amount=PRICE), make_admin(toptank)
    film = add_film(course, clips.hd)
    done(teacher.cloud.put(f"/videos/{film}/captions/it", content=CAPTIONS))
    file = done(teacher.cloud.post(f"/files?lesson_id={course.lesson_id}&name=notes.pdf", content=PDF), 201)["id"]
    eventually(lambda: toptank.sql("SELECT 1 FROM videos WHERE id = %s", file))
    wait_until_ready(teacher, film)
    course.publish()
    buyers = {who: make_student(toptank) for who in ("buyer", "ex-buyer", "banned buyer")}
    payments = {who: buy(toptank, one, course)["payment"]["id"] for who, one in buyers.items()}
    old_links = {who: link_of(toptank, buyers[who], film) for who in HAD_A_LINK}
    assert [link.follow().status for link in old_links.values()] == [200, 200]
    done(admin.vps.post(f"/admin/payments/{payments['ex-buyer']}/refund"))
    done(admin.vps.post(f"/admin/users/{buyers['banned buyer'].id}/ban"))
    ended = [status for status, _ in HAD_A_LINK.values()]
    eventually(lambda: [link.follow().status for link in old_links.values()] == ended)
    others = {"nobody": nobody(toptank), "stranger": make_student(toptank), "another teacher": make_teacher(toptank)}
    upload = begin_upload(teacher, len(clips.film), lesson_id=course.add_lesson())
    done(upload.patch(0, clips.film[:1000]), 204)
    yield Scene(toptank, film, file, {**others, **buyers, "owner": teacher, "admin": admin}, old_links)
    done(upload.delete(), 204)
    toptank.simulator.stop()


# --- what there is ----------------------------------------------------------------------------------------------


def test_of_every_file_on_the_disk_it_is_said_whether_links_lead_to_it(scene: Scene) -> None:
    kinds = (*LINKED, *UNLINKED)
    unknown = [path for path in scene.on_disk() if sum(bool(re.fullmatch(kind, path)) for kind in kinds) != 1]
    assert unknown == []


def test_every_kind_of_file_is_there_to_be_asked_for(scene: Scene) -> None:
    """But what is only there for moments: what is being made, and what is being received in one request."""
    paths = scene.on_disk()
    absent = {kind for kind in (*LINKED, *UNLINKED) if not any(re.fullmatch(kind, path) for path in paths)}
    assert absent <= {rf"media/work/{SOME}/.+", r"media/scratch/.+"}
    made = {f"{name}.{ending}" for name in ("sd", "hd") for ending in ("m3u8", "mp4")}
    assert made < set(scene.names())


# --- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", WHO)
def test_links_lead_to_every_file_for_whoever_may_watch_and_for_nobody_else(scene: Scene, who: str) -> None:
    if WHO[who] == 200:
        link = scene.link(who)
        for name, path in scene.names().items():
            answer = link.to(name).follow()
            assert (answer.status, answer.body) == (200, (scene.folder / path).read_bytes()), name
        return
    refusal = scene.people[who].cloud.post(f"/videos/{scene.film}/playback")
    assert refusal.status_code == WHO[who]
    link = scene.old_links.get(who, Link(scene.toptank.cloud.url, "none", ""))
    status, code = HAD_A_LINK.get(who, (404, "playback_not_found"))
    for name in scene.names():
        link.to(name).check_refused(status, code)
        assert ask(link.node, f"/play/{link.token}/{name}", method="HEAD").status == status


def test_a_link_leads_to_the_files_of_its_own_video_alone(scene: Scene) -> None:
    link = scene.link("buyer")
    for other in (scene.file, scene.film):
        for name in (*scene.names(), "original"):
            for place in (f"{other}/{name}", f"../{other}/{name}", f"..%2f{other}%2f{name}"):
                assert link.to(place).follow().status == 404, place


# --- routes -------------------------------------------------------------------------------------------------------

AS_THE_FILM = {
    "GET /videos/{video_id}",
    "GET /videos/{video_id}/stream",
    "HEAD /videos/{video_id}/stream",
    "GET /videos/{video_id}/captions/{language}",
    "POST /videos/{video_id}/playback",
    "GET /files/{file_id}",
    "HEAD /files/{file_id}",
}
"""For whoever may watch it."""
FOR_EVERYBODY = {"GET /posters/{video_id}", "HEAD /posters/{video_id}"}
"""While the course is published."""
OF_ITS_OWNER = {"GET /videos/{video_id}/processing"}
ELSEWHERE = {
    "GET /play/{token}/{name}",  # above
    "HEAD /play/{token}/{name}",
    "GET /health/live",  # of no video
    "GET /health/ready",
    "GET /metrics",
    "GET /uploads/permission",
    "HEAD /uploads/{upload_id}",
}


def readable(toptank: TopTank) -> list[str]:
    """Every operation that could show something of what is stored."""
    paths = toptank.http.get(f"{toptank.cloud.url}/openapi.json").json()["paths"]
    found = {f"{method.upper()} {path}" for path, item in paths.items() for method in item}
    return sorted(one for one in found if one.startswith(("GET", "HEAD")) or one.endswith("/playback"))


def test_of_every_route_it_is_said_who_may_read_there(toptank: TopTank) -> None:
    assert set(readable(toptank)) == AS_THE_FILM | FOR_EVERYBODY | OF_ITS_OWNER | ELSEWHERE


@pytest.mark.parametrize("who", WHO)
def test_every_route_shows_the_film_to_whoever_may_watch_it_and_to_nobody_else(scene: Scene, who: str) -> None:
    for route in sorted(AS_THE_FILM | OF_ITS_OWNER):
        method, path = route.split()
        path = path.format(video_id=scene.film, file_id=scene.file, language="it")
        for query in ("", "?rendition=original", "?rendition=hd") if path.endswith("/stream") else ("",):
            status = scene.people[who].cloud.send(method, f"{path}{query}").status_code
            expected = WHO[who]
            if query == "?rendition=original" and who == "buyer":
                expected = 404  # its teacher has not allowed them to keep it
            if route in OF_ITS_OWNER and who not in ("owner", "admin") and expected != 401:
                expected = 404
            assert (200 if status == 201 else status) == expected, (route, query)


@pytest.mark.parametrize("who", WHO)
def test_the_poster_of_what_is_for_sale_and_no_other_file_of_it_is_for_everybody(scene: Scene, who: str) -> None:
    for route in sorted(FOR_EVERYBODY):
        method, path = route.split()
        assert scene.people[who].cloud.send(method, path.format(video_id=scene.film)).status_code == 200
        for other in (scene.file, f"{scene.film}/original", f"{scene.film}%2foriginal", f"{scene.film}/poster.jpg"):
            assert scene.people[who].cloud.send(method, path.format(video_id=other)).status_code == 404


# --- addresses of files ---------------------------------------------------------------------------------------------

UPWARDS = [
    *("../", "%2e%2e/", ".%2e/", "..%2f", "%2e%2e%2f", "%2E%2E%2F", "%252e%252e%252f", "..;/", "....//"),
    *("..\\", "..%5c", "..%00/", "%c0%ae%c0%ae/", "..%ef%bc%8f", "%u002e%u002e/"),
]
ENDS = ("", "%00", "%00.mp4", "/", "/.", ";.mp4", "%20", "%0a", "?.mp4", ".", "%2500.jpg")


def addresses(scene: Scene, link: Link, path: str) -> Iterator[str]:
    """How somebody could ask for this file, who knows where it lies."""
    name = path.rpartition("/")[2]
    bases = (f"/play/{link.token}/", f"/play/{link.token}/captions/", f"/videos/{scene.film}/", "/files/", "/posters/")
    for base in (*bases, "/", f"/api/images/{scene.film}/"):
        yield f"{base}{path}"
        yield f"{base}{name}"
        yield f"{base}{path.replace('/', '%2f')}"
        for up in UPWARDS:
            for steps in (1, 4, 7):
                yield f"{base}{up * steps}{path}"
        yield f"{base}{scene.folder}/{path}"
        yield f"{base}{f'{scene.folder}/{path}'.replace('/', '%2f')}"
    for end in ENDS:
        yield f"/play/{link.token}/{name}{end}"
        yield f"/play/{link.token}/sd.mp4%00{name}{end}"
    yield f"/play/{link.token}/{name.upper()}"
    yield f"http://{link.node.removeprefix('http://')}/play/{link.token}/../{path}"
    yield f"http://elsewhere.test/{path}"
    yield f"file://{scene.folder}/{path}"


def hidden(scene: Scene) -> dict[str, bytes]:
    """One file of each kind that no link leads to, and what is in it."""
    found = {}
    for kind in UNLINKED:
        paths = [path for path in scene.on_disk() if re.fullmatch(kind, path) and (scene.folder / path).stat().st_size]
        own = [path for path in paths if scene.film in path]
        for path in (own or paths)[:1]:
            found[path] = (scene.folder / path).read_bytes()
    return found


@pytest.mark.parametrize("name", ["cloud", "vps"])
def test_what_no_link_leads_to_is_served_by_no_address(toptank: TopTank, scene: Scene, name: str) -> None:
    service: Service = getattr(toptank, name)
    link, pid = scene.link("owner"), service.pid
    bearer = {"Authorization": f"Bearer {scene.people['owner'].token}"}
    files = hidden(scene)
    assert len(files) >= 5
    for path, content in files.items():
        for address, answer in ask_all(service.url, set(addresses(scene, link, path)), bearer):
            assert answer.status in (400, 401, 404, 405, 422), (path, address, answer.status)
            assert content[:64] not in answer.body, address
    assert (service.pid, service.is_running) == (pid, True)
    assert not [line for line in service.lines() if line["level"] == "error"]


ODD = ("*", "http://127.0.0.1", "127.0.0.1:80", "?", "%", "/%", "/play", "/play/", "/play/%", "/videos//stream", "\\")


@pytest.mark.parametrize("name", ["cloud", "vps"])
@pytest.mark.parametrize("target", ODD)
def test_an_odd_target_is_refused_and_costs_nobody_else_anything(toptank: TopTank, name: str, target: str) -> None:
    service: Service = getattr(toptank, name)
    for method in ("GET", "OPTIONS", "CONNECT"):
        assert 400 <= ask(service.url, target, method=method).status < 500
    assert ask(service.url, "/health/live").status == 200
