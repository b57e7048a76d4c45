"""No token does what another kind is for: every kind there is, on every route of both services (abuse case 4)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contract import VPS
from shared.service_tokens import Call, ServiceSigner
from shared.tokens import load_private_key
from tests.both.people import PASSWORD, Course, Person, done, enroll, make_student, nobody, published_course
from tests.both.playing import Link, code_of, link_of
from tests.both.toptank import Service, TopTank
from tests.clips import Clips

SOME = "019a0000-0000-7000-8000-000000000000"
METHODS = ("get", "head", "post", "put", "patch", "delete")
KINDS = ("playback", "refresh", "call of the node", "call of the VPS", "answer of the VPS", "secret of the simulator")
UNAUTHORIZED = 401


@dataclass(frozen=True)
class Scene:
    toptank: TopTank
    course: Course
    film: str
    student: Person
    refresh: str

    def link(self) -> Link:
        return link_of(self.toptank, self.student, self.film)

    def tokens(self) -> dict[str, str]:
        """One of each kind, right in its own place. The service tokens are for other calls than those they try."""
        node = ServiceSigner("node-1", self._key("node_key"))
        vps = ServiceSigner(VPS, self._key("vps_key"))
        elsewhere = Call("GET", "/elsewhere", b"")
        tokens = (
            self.link().token,
            self.refresh,
            node.call(VPS, elsewhere)[0],
            vps.call("node-1", elsewhere)[0],
            vps.answer("node-1", "some", 200, b""),
            (self.toptank.secrets / "simulator_secret").read_text().strip(),
        )
        return dict(zip(KINDS, tokens, strict=True))

    def _key(self, name: str) -> Ed25519PrivateKey:
        return load_private_key((self.toptank.secrets / name).read_text())


@pytest.fixture(scope="module")
def scene(toptank: TopTank, teacher: Person, clips: Clips) -> Scene:
    course, film = published_course(toptank, teacher, clips.film)
    student = make_student(toptank)
    enroll(student, course)
    login = {"login": student.username, "password": PASSWORD}
    refresh = done(nobody(toptank).vps.post("/auth/login", json=login))["refresh_token"]
    toptank.told.add(refresh)
    return Scene(toptank, course, film, student, refresh)


def operations(toptank: TopTank, service: Service) -> Iterator[tuple[str, str]]:
    """Every method and path of its document, with ids of nothing in place of names."""
    for path, item in toptank.http.get(f"{service.url}/openapi.json").json()["paths"].items():
        for method in METHODS:
            if method in item:
                yield method.upper(), re.sub(r"\{\w+\}", SOME, path)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["vps", "cloud"])
def test_as_an_access_token_no_other_kind_lets_anybody_do_more_than_nobody_may(
    toptank: TopTank, scene: Scene, name: str, kind: str
) -> None:
    service: Service = getattr(toptank, name)
    bearer = {"Authorization": f"Bearer {scene.tokens()[kind]}"}
    tried, closed = 0, 0
    for method, path in operations(toptank, service):
        without = toptank.http.request(method, f"{service.url}{path}").status_code
        answer = toptank.http.request(method, f"{service.url}{path}", headers=bearer)
        assert answer.status_code in (UNAUTHORIZED, without), (method, path)
        tried, closed = tried + 1, closed + (without == UNAUTHORIZED)
    assert closed > tried / 2


def test_as_the_token_of_a_link_no_other_kind_opens_anything(scene: Scene) -> None:
    link = scene.link()
    others = {kind: token for kind, token in scene.tokens().items() if kind != "playback"}
    others |= {"access": scene.student.token, "video": scene.film, "user": scene.student.id, "some": SOME}
    for kind, token in others.items():
        answer = link.with_token(token).follow()
        assert (answer.status, code_of(answer)) == (404, "playback_not_found"), kind
    assert link.follow().status == 200


def test_a_link_is_opened_by_its_token_in_its_place_alone(scene: Scene) -> None:
    """Not by an access token of whoever may watch, nor by the right token anywhere else."""
    link = scene.link()
    bearer = {"Authorization": f"Bearer {scene.student.token}"}
    for place in ("x", SOME, scene.film):
        assert link.with_token(place).follow(**bearer).status == 404
    for query in (f"?token={link.token}", f"?access_token={link.token}"):
        assert link.with_token("x").to(link.name + query).follow(Cookie=f"token={link.token}").status == 404


def test_a_link_asks_for_nothing_but_its_token(scene: Scene) -> None:
    """Whoever else's credentials a player sends along change nothing: neither for better nor for worse."""
    link = scene.link()
    for authorization in ("Bearer nonsense", f"Bearer {scene.course.teacher.token}", "Basic eDp5", ""):
        assert link.follow(Authorization=authorization).status == 200
