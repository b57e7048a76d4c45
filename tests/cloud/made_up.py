"""What answers for the VPS in tests of a node's parts: it signs as the VPS does, or as nobody should."""

import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
import jwt
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel

from shared.contract import VPS
from shared.service_tokens import ANSWER_HEADER, ServiceSigner

VPS_URL = "http://vps.test"
Said = BaseModel | dict[str, Any] | httpx.Response | Exception
Answering = Callable[[httpx.Request], Awaitable[httpx.Response] | httpx.Response]


def call_of(request: httpx.Request) -> dict[str, Any]:
    """The claims of a call's token."""
    token = request.headers["authorization"].partition(" ")[2]
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False, "verify_aud": False})
    return claims


def public_pem(*keys: Ed25519PrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return "".join(key.public_key().public_bytes(encoding, form).decode() for key in keys)


def private_pem(key: Ed25519PrivateKey) -> str:
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


class MadeUpVps:
    """`ahead_s`: how far its clock is ahead of this machine's."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self.key = key
        self.ahead_s = 0.0
        self.router = respx.mock(base_url=VPS_URL, assert_all_called=False)

    def now(self) -> float:
        return time.time() + self.ahead_s

    def signed(self, request: httpx.Request, response: httpx.Response) -> httpx.Response:
        """The same answer, signed as the one to this call."""
        call = call_of(request)
        signer = ServiceSigner(VPS, self.key, self.now)
        token = signer.answer(call["iss"], call["jti"], response.status_code, response.content)
        response.headers[ANSWER_HEADER] = token
        return response

    def answers(self, method: str, path: str, *said: Said) -> respx.Route:
        """One after the other, the last one for ever; each is signed."""
        left: list[Said] = list(said)

        def answer(request: httpx.Request) -> httpx.Response:
            found = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(found, Exception):
                raise found
            return self.signed(request, response_of(found))

        return self.does(method, path, answer)

    def does(self, method: str, path: str, answer: Answering) -> respx.Route:
        """Whatever `answer` makes of the call; nothing is signed for it."""
        return self.router.route(method=method, path=path).mock(side_effect=answer)


def response_of(said: BaseModel | dict[str, Any] | httpx.Response) -> httpx.Response:
    if isinstance(said, httpx.Response):
        return httpx.Response(said.status_code, headers=said.headers, content=said.content)
    if isinstance(said, BaseModel):
        return httpx.Response(200, content=said.model_dump_json())
    return httpx.Response(200, json=said)


def bodies(route: respx.Route) -> list[Any]:
    """What was sent there, in order."""
    return [json.loads(call.request.content) for call in route.calls]


def questions(routes: Sequence[respx.Route]) -> int:
    return sum(route.call_count for route in routes)
