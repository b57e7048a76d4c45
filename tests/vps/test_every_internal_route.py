"""Each route for nodes, the next one that is added too, believes what a node signed for this call, now and once
(abuse case 54)."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contract import VPS
from shared.service_tokens import Call, ServiceSigner
from tests.vps.nodes import node_with
from tests.vps.running import NODE as NAME
from tests.vps.running import Vps
from tests.vps.test_openapi import NODE, WHO_MAY, called

pytestmark = pytest.mark.anyio

ROUTES = [called(route) for route, who in WHO_MAY.items() if who == NODE]


def signed_at(vps: Vps, shift_s: float) -> ServiceSigner:
    return ServiceSigner(NAME, vps.node.key, lambda: time.time() + shift_s)


def wrong_tokens(vps: Vps, call: Call) -> dict[str, str]:
    method, path, body = call.method, call.target, call.body
    own = vps.node.signer
    itself = ServiceSigner(VPS, vps.settings.vps_key)
    stranger = Ed25519PrivateKey.generate()
    signed = {
        "for another path": own.call(VPS, Call(method, "/internal/elsewhere", body)),
        "for another method": own.call(VPS, Call("PUT", path, body)),
        "for another body": own.call(VPS, Call(method, path, body + b" ")),
        "for another query": own.call(VPS, Call(method, f"{path}?after=1", body)),
        "for another service": own.call("node-2", call),
        "old": signed_at(vps, -75).call(VPS, call),
        "from the future": signed_at(vps, 75).call(VPS, call),
        "by a key that nobody knows": ServiceSigner(NAME, stranger).call(VPS, call),
        "in another node's name": node_with(vps, "node-2", vps.node.key).signer.call(VPS, call),
        "of the VPS, to itself": itself.call(VPS, call),
        "of the VPS, to the node": itself.call(NAME, call),
    }
    tokens = {what: token for what, (token, _) in signed.items()}
    return {"none": "", "an answer": itself.answer(NAME, "some", 200, b""), **tokens}


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_it_is_believed_only_as_it_was_signed_and_once(vps: Vps, method: str, path: str) -> None:
    call = Call(method, path, b"" if method == "GET" else b"{}")
    for what, token in wrong_tokens(vps, call).items():
        assert (await vps.node.send(token, *_of(call))).status_code == 401, what
    right = vps.node.token(*_of(call))
    assert (await vps.node.send(right, *_of(call))).status_code in (200, 422)
    assert (await vps.node.send(right, *_of(call))).status_code == 401


def _of(call: Call) -> tuple[str, str, bytes]:
    return call.method, call.target, call.body
