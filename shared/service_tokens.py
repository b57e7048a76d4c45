"""Service-to-service tokens, both ways: a node signs each call, the VPS signs each answer.

A call's token is bound to method, target and body, is good for a minute and is accepted once. An answer's token is
bound to the call it answers, its status and its body, so nobody on the way can grant a right or withhold a refusal.
"""

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.tokens import InvalidToken, UnknownKey, check_time, checked_header, public_jwk, sign, verify

CALL_TYP, ANSWER_TYP = "service+jwt", "service-answer+jwt"
LIFE_S = 60
ANSWER_HEADER = "Service-Answer"


def keys_by_id(keys: tuple[Ed25519PublicKey, ...]) -> dict[str, Ed25519PublicKey]:
    """While a key is being replaced there are two."""
    return {public_jwk(key)["kid"]: key for key in keys}


def _hash(body: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(body).digest()).rstrip(b"=").decode()


@dataclass(frozen=True, slots=True)
class Call:
    """What a call's token is bound to; `target` is path and query as sent."""

    method: str
    target: str
    body: bytes


class ServiceSigner:
    """Signs what this service sends to another; `now` is the clock that the other one goes by, in Unix seconds."""

    def __init__(self, name: str, key: Ed25519PrivateKey, now: Callable[[], float] = time.time) -> None:
        self.name, self._key, self._now = name, key, now

    def call(self, audience: str, call: Call) -> tuple[str, str]:
        """A token for this one call, and the token's id."""
        token_id = secrets.token_urlsafe(16)
        bound = {"method": call.method, "target": call.target, "body": _hash(call.body)}
        return self._sign(CALL_TYP, audience, token_id, bound), token_id

    def answer(self, audience: str, token_id: str, status: int, body: bytes) -> str:
        """A token for the answer to the call that had the token `token_id`."""
        return self._sign(ANSWER_TYP, audience, token_id, {"status": status, "body": _hash(body)})

    def _sign(self, typ: str, audience: str, token_id: str, bound: dict[str, Any]) -> str:
        now = int(self._now())
        times = {"iat": now, "exp": now + LIFE_S}
        return sign(self._key, typ, {"iss": self.name, "aud": audience, "jti": token_id, **times, **bound})


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A call whose signature holds. Whether it comes in time, and for the first time, is still to be asked."""

    token_id: str
    claims: Mapping[str, Any]

    @property
    def expires_at(self) -> int:
        return int(self.claims["exp"])

    def check_time(self, now: float) -> None:
        """Raises NotInTime."""
        check_time(self.claims, now)


def caller_key_id(token: str) -> str:
    """Which key a call says it was signed with. Raises InvalidToken."""
    return checked_header(token, CALL_TYP)


def verify_call(token: str, key: Ed25519PublicKey, call: Call, *, caller: str, called: str) -> SignedCall:
    """Raises InvalidToken."""
    claims = verify(token, key, audience=called, issuer=caller)
    bound = (claims.get("method"), claims.get("target"), claims.get("body"))
    if bound != (call.method, call.target, _hash(call.body)):
        raise InvalidToken("the token was made for another call")
    if claims["exp"] - claims["iat"] > LIFE_S:
        raise InvalidToken("the token claims too long a life")
    token_id = claims.get("jti")
    if not isinstance(token_id, str) or not token_id:
        raise InvalidToken("the token has no id")
    return SignedCall(token_id, claims)


def verify_answer(
    token: str,
    keys: Mapping[str, Ed25519PublicKey],
    *,
    caller: str,
    called: str,
    token_id: str,
    status: int,
    body: bytes,
) -> int:
    """When it was signed, in Unix seconds by the clock of whoever was called. Raises InvalidToken.

    That it answers this very call is what makes it fresh, so no clock is asked.
    """
    kid = checked_header(token, ANSWER_TYP)
    if kid not in keys:
        raise UnknownKey(kid)
    claims = verify(token, keys[kid], audience=caller, issuer=called)
    if (claims.get("jti"), claims.get("status"), claims.get("body")) != (token_id, status, _hash(body)):
        raise InvalidToken("the answer is one to another call")
    return int(claims["iat"])
