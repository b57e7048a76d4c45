"""What the node believes of what comes back: only what the VPS has signed as the answer to this very call."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_service.access.actions import Access
from cloud_service.access.rights import Rights
from cloud_service.clock import VpsClock
from cloud_service.db import Database
from cloud_service.freshness import Freshness
from cloud_service.settings import CloudSettings
from cloud_service.vps import Vps, VpsFailed, VpsRefused, VpsUnreachable
from shared.contract import ACCESS, ACCESS_KEYS, VPS, Jwks
from shared.service_tokens import ANSWER_HEADER, Call, ServiceSigner
from shared.tokens import load_public_keys
from tests.cloud.conftest import NODE_KEY, VPS_KEY
from tests.cloud.made_up import VPS_URL, MadeUpVps, call_of, public_pem
from tests.cloud.things import MARK, allowed, denied, position, video, viewer

pytestmark = pytest.mark.anyio

KEYS: dict[str, Any] = {"keys": []}
STRANGER = Ed25519PrivateKey.generate()


@dataclass(frozen=True)
class Forger:
    """Somebody between the two who sees every call and every answer, and has no key of the VPS's."""

    call: httpx.Request
    right: httpx.Response

    def signed_by(
        self,
        key: Ed25519PrivateKey,
        *,
        name: str = VPS,
        to: str | None = None,
        token_id: str | None = None,
        status: int | None = None,
        body: bytes | None = None,
    ) -> httpx.Response:
        call = call_of(self.call)
        token = ServiceSigner(name, key).answer(
            to or call["iss"],
            token_id or call["jti"],
            status or self.right.status_code,
            self.right.content if body is None else body,
        )
        return self.with_token(token)

    def with_token(self, token: str | None, **more: str) -> httpx.Response:
        headers = {ANSWER_HEADER: token, **more} if token is not None else more
        return httpx.Response(self.right.status_code, headers=headers, content=self.right.content)

    def as_a_call(self) -> httpx.Response:
        """A token of the other kind, by the right key."""
        token, _ = ServiceSigner(VPS, VPS_KEY).call("node-1", Call("POST", ACCESS, self.call.content))
        return self.with_token(token)


FORGERIES: dict[str, Callable[[Forger], httpx.Response]] = {
    "unsigned": lambda forger: forger.with_token(None),
    "an empty signature": lambda forger: forger.with_token(""),
    "nonsense": lambda forger: forger.with_token("a.b.c"),
    "by an unknown key": lambda forger: forger.signed_by(STRANGER),
    "by the node's own key": lambda forger: forger.signed_by(NODE_KEY),
    "by the node, in its own name": lambda forger: forger.signed_by(NODE_KEY, name="node-1"),
    "to another node": lambda forger: forger.signed_by(VPS_KEY, to="node-2"),
    "to another call": lambda forger: forger.signed_by(VPS_KEY, token_id="another"),
    "with another status": lambda forger: forger.signed_by(VPS_KEY, status=403),
    "of another body": lambda forger: forger.signed_by(VPS_KEY, body=b"{}"),
    "a call's token": lambda forger: forger.as_a_call(),
    "the call's own token, reflected": lambda forger: forger.with_token(forger.call.headers["authorization"][7:]),
}


@pytest.fixture
async def access(database: Database, vps: Vps, settings: CloudSettings) -> Access:
    rights, freshness = Rights(database), Freshness(database)
    await rights.reset(position(0), MARK)
    return Access(rights, freshness, vps, settings)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_answer_is_no_grant(
    access: Access, made_up: MadeUpVps, database: Database, forgery: str
) -> None:
    right = httpx.Response(200, content=allowed().model_dump_json())
    made_up.does("POST", ACCESS, lambda call: FORGERIES[forgery](Forger(call, right)))
    with pytest.raises(VpsUnreachable) as refused:
        await access.check(viewer(), video())
    assert (refused.value.status, int(refused.value.headers["Retry-After"]) > 0) == (503, True)
    assert not access.granted(viewer(), video())
    assert await database.fetch("SELECT * FROM grants") == []


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_forged_refusal_refuses_nobody(access: Access, made_up: MadeUpVps, forgery: str) -> None:
    right = httpx.Response(200, content=denied().model_dump_json())
    made_up.does("POST", ACCESS, lambda call: FORGERIES[forgery](Forger(call, right)))
    with pytest.raises(VpsUnreachable):
        await access.check(viewer(), video())
    made_up.answers("POST", ACCESS, allowed())
    await access.check(viewer(), video())


async def test_an_answer_that_was_altered_is_not_believed(access: Access, made_up: MadeUpVps) -> None:
    def altered(request: httpx.Request) -> httpx.Response:
        signed = made_up.signed(request, httpx.Response(200, content=denied().model_dump_json()))
        return httpx.Response(200, headers=signed.headers, content=allowed().model_dump_json())

    made_up.does("POST", ACCESS, altered)
    with pytest.raises(VpsUnreachable):
        await access.check(viewer(), video())


async def test_an_answer_is_good_for_one_call_only(access: Access, made_up: MadeUpVps) -> None:
    """The one to the first call, recorded and played again to the second."""
    recorded: list[httpx.Response] = []

    def replay(request: httpx.Request) -> httpx.Response:
        right = httpx.Response(200, content=denied().model_dump_json())
        recorded.append(made_up.signed(request, right))
        return recorded[0]

    made_up.does("POST", ACCESS, replay)
    with pytest.raises(Exception, match="key"):
        await access.check(viewer(), video())
    with pytest.raises(VpsUnreachable):
        await access.check(viewer(generation=1), video())


async def test_a_call_says_who_calls_whom_and_what_for(vps: Vps, made_up: MadeUpVps) -> None:
    route = made_up.answers("GET", ACCESS_KEYS, KEYS)
    await vps.get(ACCESS_KEYS, Jwks)
    await vps.get(ACCESS_KEYS, Jwks)
    first, second = (call_of(call.request) for call in route.calls)
    assert (first["iss"], first["aud"], first["method"], first["target"]) == ("node-1", VPS, "GET", ACCESS_KEYS)
    assert first["exp"] - first["iat"] == 60
    assert first["jti"] != second["jti"]


# --- keys ---------------------------------------------------------------------------------------------------

NEXT = Ed25519PrivateKey.generate()


@pytest.fixture
async def vps_of_two_keys(settings: CloudSettings, made_up: MadeUpVps) -> AsyncIterator[Vps]:
    """The node of an operator who is replacing the VPS's key."""
    both = {"vps_public_key": load_public_keys(public_pem(VPS_KEY, NEXT))}
    vps = Vps(settings.model_copy(update=both), VpsClock())
    yield vps
    await vps.close()


async def test_while_the_vps_changes_its_key_both_are_believed(vps_of_two_keys: Vps, made_up: MadeUpVps) -> None:
    made_up.answers("GET", ACCESS_KEYS, KEYS)
    for key in (VPS_KEY, NEXT, VPS_KEY):
        made_up.key = key
        await vps_of_two_keys.get(ACCESS_KEYS, Jwks)
    made_up.key = STRANGER
    with pytest.raises(VpsUnreachable):
        await vps_of_two_keys.get(ACCESS_KEYS, Jwks)


async def test_a_key_that_is_not_known_yet_is_not_believed(vps: Vps, made_up: MadeUpVps) -> None:
    made_up.answers("GET", ACCESS_KEYS, KEYS)
    made_up.key = NEXT
    with pytest.raises(VpsUnreachable):
        await vps.get(ACCESS_KEYS, Jwks)


# --- answers that are none ----------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_vps_that_says_it_cannot_is_a_503(vps: Vps, made_up: MadeUpVps, status: int) -> None:
    made_up.answers("GET", ACCESS_KEYS, httpx.Response(status))
    with pytest.raises(VpsFailed) as failed:
        await vps.get(ACCESS_KEYS, Jwks)
    assert (failed.value.status, failed.value.code, failed.value.answered_status) == (503, "vps_unreachable", status)


@pytest.mark.parametrize("status", [301, 400, 403, 404, 422, 429])
async def test_a_signed_refusal_of_the_call_itself_says_so(vps: Vps, made_up: MadeUpVps, status: int) -> None:
    made_up.answers("GET", ACCESS_KEYS, httpx.Response(status, text="no"))
    with pytest.raises(VpsRefused) as refused:
        await vps.get(ACCESS_KEYS, Jwks)
    assert (refused.value.answered_status, refused.value.answered_body) == (status, "no")


async def test_an_answer_of_another_shape_is_not_taken_for_one(vps: Vps, made_up: MadeUpVps) -> None:
    made_up.answers("GET", ACCESS_KEYS, httpx.Response(200, text="<html>"))
    with pytest.raises(VpsRefused):
        await vps.get(ACCESS_KEYS, Jwks)


async def test_an_answer_may_gain_fields(vps: Vps, made_up: MadeUpVps) -> None:
    made_up.answers("GET", ACCESS_KEYS, KEYS | {"more": "of a later release"})
    assert (await vps.get(ACCESS_KEYS, Jwks)).keys == []


async def test_a_redirection_is_not_followed(vps: Vps, made_up: MadeUpVps) -> None:
    elsewhere = made_up.answers("GET", "/elsewhere", KEYS)
    made_up.answers("GET", ACCESS_KEYS, httpx.Response(307, headers={"Location": f"{VPS_URL}/elsewhere"}))
    with pytest.raises(VpsRefused):
        await vps.get(ACCESS_KEYS, Jwks)
    assert elsewhere.call_count == 0
