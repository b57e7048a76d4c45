"""Signing in, staying signed in, and every way in which a token is not good enough."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.service_tokens import Call
from shared.tokens import sign_access, verify_access
from tests.vps.people import (
    PASSWORD,
    Person,
    done,
    make_student,
    make_teacher,
    published_course,
    refused,
    store_video,
    student_form,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


async def log_in(vps: Vps, login: str, password: str = PASSWORD) -> Any:
    return await vps.http.post("/api/auth/login", json={"login": login, "password": password})


async def refresh(vps: Vps, token: str) -> Any:
    return await vps.http.post("/api/auth/refresh", json={"refresh_token": token})


@pytest.mark.parametrize("login", ["sara", "SARA", " sara ", "sara@example.com", "Sara@Example.com", "+201001234567"])
async def test_a_login_is_the_username_the_email_or_the_phone(vps: Vps, login: str) -> None:
    form = student_form("sara", phone="+201001234567")
    done(await vps.http.post("/api/auth/register", json=form), 201)
    assert done(await log_in(vps, login))["user"]["username"] == "sara"


async def test_unknown_user_wrong_password_and_banned_account_get_the_same_answer(vps: Vps) -> None:
    await make_student(vps, "sara")
    banned = await make_student(vps, "banned")
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=banned.id)
    answers = [
        await log_in(vps, "nobody"),
        await log_in(vps, "sara", "wrong"),
        await log_in(vps, "sara", "x" * 1000),
        await log_in(vps, "sara", "ك" * 72),
        await log_in(vps, "banned"),
    ]
    problems = [refused(answer, 401, "bad_credentials") for answer in answers]
    for problem in problems:
        del problem["request_id"]
    assert all(problem == problems[0] for problem in problems)


@pytest.mark.settings(bcrypt_cost=10)
async def test_a_bare_address_asks_for_a_token(vps: Vps) -> None:
    response = await vps.http.get("/api/auth/me")
    refused(response, 401, "not_authenticated")
    assert response.headers["www-authenticate"] == "Bearer"


async def test_a_node_can_check_an_access_token_with_the_published_keys_alone(vps: Vps) -> None:
    from shared.tokens import keys_from_jwks

    student = await make_student(vps)
    jwks = done(await vps.http.get("/.well-known/jwks.json"))
    claims = verify_access(student.access_token, keys_from_jwks(jwks))
    assert (claims.user_id, claims.username, claims.role) == (student.id, "sara", "student")
    assert claims.expires_at - time.time() == pytest.approx(vps.settings.access_token_s, abs=5)
    assert all("d" not in key for key in jwks["keys"])


async def test_a_banned_user_is_out_at_once(vps: Vps) -> None:
    student = await make_student(vps)
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=student.id)
    refused(await student.get("/api/auth/me"), 401, "not_authenticated")
    refused(await refresh(vps, student.refresh_token), 401, "bad_refresh_token")


# --- forged and foreign tokens -------------------------------------------------------------------


def encoded(part: bytes | dict[str, Any]) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class Forger:
    """Has a good token to look at, the VPS's public key, and keys of its own."""

    def __init__(self, vps: Vps, token: str) -> None:
        self.real = vps.settings.access_key
        self.token = token
        self.header = jwt.get_unverified_header(token)
        self.claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
        self.mine = Ed25519PrivateKey.generate()

    def signed(self, key: Ed25519PrivateKey, header: dict[str, Any] | bytes, claims: dict[str, Any] | bytes) -> str:
        """Whatever PyJWT would refuse to write."""
        content = f"{encoded(header)}.{encoded(claims)}"
        return f"{content}.{encoded(key.sign(content.encode()))}"

    def by_vps(self, header: dict[str, Any] | None = None, **claims: Any) -> str:
        kept = {name: value for name, value in (self.claims | claims).items() if value is not None}
        return self.signed(self.real, self.header | (header or {}), kept)

    def none(self, alg: str) -> str:
        return f"{encoded({**self.header, 'alg': alg})}.{encoded(self.claims)}."

    def hs256(self, encoding: serialization.Encoding, form: serialization.PublicFormat) -> str:
        content = f"{encoded({**self.header, 'alg': 'HS256'})}.{encoded(self.claims)}"
        secret = self.real.public_key().public_bytes(encoding, form)
        return f"{content}.{encoded(hmac.digest(secret, content.encode(), 'sha256'))}"

    def with_jwk(self) -> str:
        from shared.tokens import public_jwk

        jwk = public_jwk(self.mine.public_key())
        return self.signed(self.mine, {**self.header, "kid": jwk["kid"], "jwk": jwk}, self.claims)


PEM, RAW = serialization.Encoding.PEM, serialization.Encoding.Raw
SPKI, BARE = serialization.PublicFormat.SubjectPublicKeyInfo, serialization.PublicFormat.Raw
LONG_AGO = int(time.time()) - 3600

FORGERIES: dict[str, Callable[[Forger], str]] = {
    "alg none": lambda forger: forger.none("none"),
    "alg None": lambda forger: forger.none("None"),
    "signature left out": lambda forger: forger.token.rpartition(".")[0] + ".",
    "signature cut off": lambda forger: forger.token.rpartition(".")[0],
    "cut short": lambda forger: forger.token[:-10],
    "signature of another token": lambda forger: forger.token[:-6] + "AAAAAA",
    "payload changed": lambda forger: ".".join(
        [forger.token.split(".")[0], encoded({**forger.claims, "role": "admin"}), forger.token.split(".")[2]]
    ),
    "HS256 with the public key as PEM": lambda forger: forger.hs256(PEM, SPKI),
    "HS256 with the public key's bytes": lambda forger: forger.hs256(RAW, BARE),
    "another key under our kid": lambda forger: forger.signed(forger.mine, forger.header, forger.claims),
    "a kid of nobody": lambda forger: forger.by_vps({"kid": "nobody"}),
    "a kid that is a path": lambda forger: forger.by_vps({"kid": "../../dev/null"}),
    "a kid that is a list": lambda forger: forger.by_vps({"kid": ["a"]}),
    "its own jwk": lambda forger: forger.with_jwk(),
    "a jku": lambda forger: forger.by_vps({"jku": "http://127.0.0.1/keys"}),
    "unknown crit": lambda forger: forger.by_vps({"crit": ["b64"], "b64": False}),
    "typ JWT": lambda forger: forger.by_vps({"typ": "JWT"}),
    "typ of a service token": lambda forger: forger.by_vps({"typ": "service+jwt"}),
    "alg RS256": lambda forger: forger.by_vps({"alg": "RS256"}),
    "another audience": lambda forger: forger.by_vps(aud="node-1"),
    "two audiences": lambda forger: forger.by_vps(aud=["toptank", "node-1"]),
    "no audience": lambda forger: forger.by_vps(aud=None),
    "another issuer": lambda forger: forger.by_vps(iss="somebody"),
    "no issuer": lambda forger: forger.by_vps(iss=None),
    "expired": lambda forger: forger.by_vps(iat=LONG_AGO, exp=LONG_AGO + 900),
    "no expiry": lambda forger: forger.by_vps(exp=None),
    "an expiry that is a word": lambda forger: forger.by_vps(exp="never"),
    "issued tomorrow": lambda forger: forger.by_vps(iat=LONG_AGO + 90_000, exp=LONG_AGO + 99_000),
    "no subject": lambda forger: forger.by_vps(sub=None),
    "a subject that is no id": lambda forger: forger.by_vps(sub="1 OR 1=1"),
    "a subject that is a number": lambda forger: forger.by_vps(sub=1),
    "a user who is not there": lambda forger: forger.by_vps(sub="019a0000-0000-7000-8000-000000000000"),
    "no role": lambda forger: forger.by_vps(role=None),
    "an unknown role": lambda forger: forger.by_vps(role="owner"),
    "a header that is no JSON": lambda forger: forger.signed(forger.real, b"{", forger.claims),
    "a header that is a list": lambda forger: forger.signed(forger.real, b"[]", forger.claims),
    "a header nested too deep": lambda forger: forger.signed(forger.real, b"[" * 20_000, forger.claims),
    "claims nested too deep": lambda forger: forger.signed(forger.real, forger.header, b"[" * 20_000),
    "claims that are a list": lambda forger: forger.signed(forger.real, forger.header, b"[]"),
    "empty": lambda forger: "",
    "dots": lambda forger: "..",
    "a word": lambda forger: "letmein",
    "letters beyond ASCII": lambda forger: "café.é.é",
    "twice": lambda forger: f"{forger.token} {forger.token}",
}


async def test_every_forged_token_is_refused(vps: Vps) -> None:
    student = await make_student(vps)
    forger = Forger(vps, student.access_token)
    done(await student.get("/api/auth/me"))
    done(await Person(vps.http, {}, forger.by_vps(), "").get("/api/auth/me"))  # the forger does write good tokens
    for name, forge in FORGERIES.items():
        headers = {b"Authorization": f"Bearer {forge(forger)}".encode()}
        for path in ("/api/auth/me", "/api/keys", "/api/courses/019a0000-0000-7000-8000-000000000000"):
            response = await vps.http.get(path, headers=headers)
            assert response.status_code == 401, (name, path, response.text)
            refused(response, 401, "not_authenticated")


async def test_the_role_in_a_token_opens_nothing_that_the_account_does_not(vps: Vps) -> None:
    student = await make_student(vps)
    student.access_token = sign_access(vps.settings.access_key, student.id, "sara", "admin", 900)
    refused(await student.get("/api/admin/courses"), 403, "wrong_role")


@pytest.mark.parametrize("scheme", ["Basic", "Token", "bearer:", ""])
async def test_another_scheme_is_no_bearer_token(vps: Vps, scheme: str) -> None:
    student = await make_student(vps)
    response = await vps.http.get("/api/auth/me", headers={"Authorization": f"{scheme} {student.access_token}"})
    refused(response, 401, "not_authenticated")


async def test_a_token_in_the_address_is_not_looked_at(vps: Vps) -> None:
    student = await make_student(vps)
    for name in ("token", "access_token", "jwt"):
        response = await vps.http.get("/api/auth/me", params={name: student.access_token})
        refused(response, 401, "not_authenticated")


# --- kinds of tokens × routes ----------------------------------------------------------------------


async def test_no_token_of_another_kind_is_an_access_token(vps: Vps) -> None:
    student, teacher = await make_student(vps), await make_teacher(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    routes = [
        ("GET", "/api/auth/me"),
        ("GET", "/api/keys"),
        ("GET", "/api/payments"),
        ("POST", "/api/payments"),
        ("POST", f"/api/courses/{course.id}/enroll"),
        ("DELETE", course.path),
        ("GET", "/api/admin/courses"),
        ("PUT", "/api/teachers/omar/follow"),
    ]
    for method, path in routes:
        others = {
            "refresh": student.refresh_token,
            "service": vps.node.token(method, path),
            "service for everybody": vps.node.signer.call("toptank", Call(method, path, b""))[0],
            "service answer": vps.node.signer.answer("toptank", "id", 200, b""),
            "a key's id": str(video),
            "the password": PASSWORD,
        }
        for kind, token in others.items():
            response = await vps.http.request(method, path, headers={"Authorization": f"Bearer {token}"}, json={})
            assert response.status_code == 401, (kind, path, response.text)


async def test_an_access_token_is_no_service_token(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    for method, path in (("POST", "/internal/standing"), ("GET", "/internal/changes")):
        for token in (teacher.access_token, teacher.refresh_token):
            refused(await vps.node.send(token, method, path), 401, "not_authenticated")


async def test_an_access_token_is_no_refresh_token(vps: Vps) -> None:
    student = await make_student(vps)
    refused(await refresh(vps, student.access_token), 422, "validation_failed")
    refused(await refresh(vps, student.access_token[:200]), 401, "bad_refresh_token")
