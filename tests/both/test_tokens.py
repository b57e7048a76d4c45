"""Tokens that must not open anything, tried on every route of the Cloud; and what a node says of itself to the VPS."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contract import VPS
from shared.service_tokens import Call, ServiceSigner
from shared.tokens import load_private_key, public_jwk
from tests.both.people import Person, done, make_admin
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire

SOME = UUID(int=7)
ROUTES = [
    ("GET", "/uploads/permission"),
    ("POST", "/uploads"),
    ("HEAD", f"/uploads/{SOME}"),
    ("PATCH", f"/uploads/{SOME}"),
    ("DELETE", f"/uploads/{SOME}"),
    ("POST", f"/videos?lesson_id={SOME}"),
    ("GET", f"/videos/{SOME}"),
    ("GET", f"/videos/{SOME}/processing"),
    ("GET", f"/videos/{SOME}/stream"),
    ("HEAD", f"/videos/{SOME}/stream"),
    ("POST", f"/videos/{SOME}/playback"),
    ("DELETE", f"/videos/{SOME}"),
    ("PUT", f"/videos/{SOME}/captions/{SOME}"),
    ("GET", f"/videos/{SOME}/captions/{SOME}"),
    ("DELETE", f"/videos/{SOME}/captions/{SOME}"),
    ("POST", f"/files?lesson_id={SOME}&name=notes.pdf"),
    ("GET", f"/files/{SOME}"),
    ("HEAD", f"/files/{SOME}"),
    ("DELETE", f"/files/{SOME}"),
    ("DELETE", f"/courses/{SOME}"),
]
OPEN = {"/health/live", "/health/ready", "/metrics", "/play/{token}/{name}", "/posters/{video_id}"}
NOT_A_UUID = ["1", "x" * 300, "%00", "'%20or%201=1--", "%2e%2e%2fx", "0" * 32 + "g"]


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


class Forger:
    """What somebody can make who has seen a right token and knows everything that is public."""

    def __init__(self, toptank: TopTank, student: Person) -> None:
        self.toptank, self.student = toptank, student
        self.access = load_private_key((toptank.secrets / "access_key").read_text())
        self.kid = public_jwk(self.access.public_key())["kid"]
        self.claims: dict[str, Any] = {
            "iss": "toptank",
            "aud": "toptank",
            "sub": student.id,
            "username": student.username,
            "role": "student",
            "gen": 0,
            "iat": int(time.time()),
            "exp": int(time.time()) + 600,
        }

    def signed(self, key: Ed25519PrivateKey | None = None, header: dict[str, Any] | None = None, **claims: Any) -> str:
        headers = {"typ": "at+jwt", "kid": self.kid} | (header or {})
        body = {name: value for name, value in (self.claims | claims).items() if value is not None}
        return jwt.encode(body, key or self.access, algorithm="EdDSA", headers=headers)

    def hs256(self, secret: bytes) -> str:
        """Signed with what is public as if it were a shared secret."""
        signed = f"{encoded({'alg': 'HS256', 'typ': 'at+jwt', 'kid': self.kid})}.{encoded(self.claims)}"
        mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def everything(self) -> dict[str, str]:
        stranger, public = Ed25519PrivateKey.generate(), self.access.public_key()
        right = self.signed()
        head, body, signature = right.split(".")
        admin = encoded(self.claims | {"role": "admin"})
        node = ServiceSigner("node-1", load_private_key((self.toptank.secrets / "node_key").read_text()))
        vps = ServiceSigner(VPS, load_private_key((self.toptank.secrets / "vps_key").read_text()))
        return {
            "nothing": "",
            "not a token": "abc",
            "dots": "..",
            "alg none": f"{encoded({'alg': 'none', 'typ': 'at+jwt', 'kid': self.kid})}.{body}.",
            "alg None": f"{encoded({'alg': 'None', 'typ': 'at+jwt', 'kid': self.kid})}.{body}.{signature}",
            "no signature": f"{head}.{body}.",
            "changed claims": f"{head}.{admin}.{signature}",
            "hs256 with the public key": self.hs256(public.public_bytes_raw()),
            "hs256 with the public jwk": self.hs256(public_jwk(public)["x"].encode()),
            "expired": self.signed(exp=int(time.time()) - 60, iat=int(time.time()) - 600),
            "without expiry": self.signed(exp=None),
            "from the future": self.signed(iat=int(time.time()) + 3600),
            "foreign key, its own kid": self.signed(stranger, {"kid": public_jwk(stranger.public_key())["kid"]}),
            "foreign key, our kid": self.signed(stranger),
            "embedded jwk": self.signed(stranger, {"jwk": public_jwk(stranger.public_key())}),
            "jku": self.signed(header={"jku": "http://127.0.0.1:9/jwks.json"}),
            "crit": self.signed(header={"crit": ["exp"]}),
            "other typ": self.signed(header={"typ": "JWT"}),
            "other audience": self.signed(aud="another"),
            "two audiences": self.signed(aud=["toptank", "another"]),
            "other issuer": self.signed(iss="another"),
            "other role": self.signed(role="root"),
            "no generation": self.signed(gen=None),
            "a generation that is no number": self.signed(gen="newest"),
            "no subject": self.signed(sub=None),
            "subject that is no id": self.signed(sub="1"),
            "service token of the node": node.call(VPS, Call("GET", "/videos", b""))[0],
            "service token of the node, to itself": node.call("node-1", Call("GET", "/videos", b""))[0],
            "service token of the vps": vps.call("node-1", Call("GET", "/videos", b""))[0],
            "service token of the vps, as access": vps.call("toptank", Call("GET", "/videos", b""))[0],
            "answer of the vps": vps.answer("toptank", "some", 200, b""),
            "long": "a" * 20_000,
            "not ascii": "tökén",
        }


@pytest.fixture(scope="module")
def forged(toptank: TopTank, student: Person) -> dict[str, str]:
    return Forger(toptank, student).everything()


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_no_forged_token_opens(toptank: TopTank, forged: dict[str, str], method: str, path: str) -> None:
    for name, token in forged.items():
        headers = {b"Authorization": f"Bearer {token}".strip().encode()}
        response = toptank.http.request(method, f"{toptank.cloud.url}{path}", headers=headers)
        assert response.status_code == 401, f"{name}: {response.status_code}"


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_right_token_opens_in_no_other_way(toptank: TopTank, student: Person, method: str, path: str) -> None:
    url = f"{toptank.cloud.url}{path}"
    in_query = f"{url}{'&' if '?' in url else '?'}access_token={student.token}&token={student.token}"
    assert toptank.http.request(method, in_query).status_code == 401
    for scheme in ("Basic", "Token", "", "Bearer:"):
        headers = {"Authorization": f"{scheme} {student.token}".strip()}
        assert toptank.http.request(method, url, headers=headers).status_code == 401
    assert toptank.http.request(method, url, headers={"Cookie": f"access_token={student.token}"}).status_code == 401


def test_the_tokens_would_open_if_they_were_right(toptank: TopTank, student: Person) -> None:
    """So that what is refused above is refused for its fault."""
    token = Forger(toptank, student).signed()
    headers = {"Authorization": f"bearer {token}"}
    assert toptank.http.get(f"{toptank.cloud.url}/uploads/permission", headers=headers).status_code == 200


def test_every_route_is_in_this_test(toptank: TopTank) -> None:
    document = toptank.http.get(f"{toptank.cloud.url}/openapi.json").json()
    tried = {(method, path.partition("?")[0].replace(str(SOME), "{}")) for method, path in ROUTES}
    for path, operations in document["paths"].items():
        plain = "/".join("{}" if part.startswith("{") else part for part in path.split("/"))
        for method in operations:
            assert (method.upper(), plain) in tried or path in OPEN or method == "options"


def test_a_forged_host_changes_nothing(toptank: TopTank) -> None:
    for method, path in ROUTES:
        with Wire(toptank.cloud.url) as wire:
            wire.host = "a/health/live?x="
            assert wire.request(method, path, {}).answer(method).status == 401


@pytest.mark.parametrize("name", NOT_A_UUID)
def test_an_id_that_is_no_uuid_is_refused_everywhere(student: Person, name: str) -> None:
    assert student.cloud.get(f"/videos/{name}").status_code in (404, 422)
    assert student.cloud.get(f"/videos/{name}/stream").status_code == 404
    assert student.cloud.delete(f"/videos/{name}").status_code in (404, 422)
    assert student.cloud.get(f"/videos/{name}/captions/ar").status_code in (404, 422)
    assert student.cloud.get(f"/files/{name}").status_code in (404, 422)
    assert student.cloud.delete(f"/files/{name}").status_code in (404, 422)
    assert student.cloud.delete(f"/courses/{name}").status_code in (404, 422)
    assert student.cloud.delete(f"/uploads/{name}").status_code == 404
    assert student.cloud.get(f"/uploads/permission?course_id={name}").status_code == 422


@pytest.mark.parametrize("token", ["", "abc.def.ghi"])
def test_a_large_body_is_refused_before_it_is_read(toptank: TopTank, token: str) -> None:
    taking_bytes = (("POST", f"/videos?lesson_id={SOME}"), ("POST", "/uploads"), ("PATCH", f"/uploads/{SOME}"))
    for method, path in (*taking_bytes, ("DELETE", f"/videos/{SOME}")):
        with Wire(toptank.cloud.url) as wire:
            wire.request(method, path, {"Authorization": f"Bearer {token}", "Content-Length": str(2**33)})
            taken = wire.send_until_answered(bytes(64 * 1024), 2**25)
            assert wire.answer().status in (401, 413)
        assert taken <= 2 * 2**20


# --- what a node says of itself ---------------------------------------------------------------------------


def test_an_admin_sees_the_node_through_the_vps(toptank: TopTank) -> None:
    """Its first report may be from before it heard of any change, and so of no age."""
    admin = make_admin(toptank)

    def nodes_that_hear() -> list[dict[str, Any]]:
        nodes = done(admin.vps.get("/admin/nodes"))
        return [node for node in nodes if node["state"] == "up" and node["trust_age_s"] is not None]

    (shown,) = eventually(nodes_that_hear)
    assert (shown["id"], shown["url"], shown["videos"]) == ("node-1", toptank.cloud.url, 0)
    assert shown["bytes_free"] > 0
    assert shown["trust_age_s"] >= 0


def test_the_node_has_no_route_for_services(toptank: TopTank) -> None:
    """The VPS calls no node; whoever pretends to be it finds nothing to call."""
    signer = ServiceSigner(VPS, load_private_key((toptank.secrets / "vps_key").read_text()))
    for path in ("/internal/status", "/internal/access", "/internal/changes"):
        token, _ = signer.call("node-1", Call("GET", path, b""))
        response = toptank.http.get(f"{toptank.cloud.url}{path}", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 404
