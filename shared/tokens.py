"""Signed tokens: the keys and rules that every kind shares, and the access tokens of people.

Each kind has its own `typ`, its own `aud` and its own Ed25519 key; a verifier accepts one algorithm (RFC 8725).
Only the VPS holds a private key for access tokens; the nodes check them offline with its published JWKS.
The tokens of services are in `shared/service_tokens.py`.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "EdDSA"
ISSUER = "toptank"
ACCESS_TYP, ACCESS_AUDIENCE = "at+jwt", "toptank"
CLOCK_LEEWAY_S = 10
ACCESS_LIFE_AT_MOST_S = 24 * 3600
"""No access token may live longer: for so long nodes remember which sessions have ended."""
PEM_END = "-----END PUBLIC KEY-----"

Role = Literal["student", "teacher", "admin"]


class InvalidToken(Exception):
    """Whatever is wrong with a token; callers answer 401 and do not tell which."""


class UnknownKey(InvalidToken):
    """Signed by a key that is not known here, perhaps not yet."""


class NotInTime(InvalidToken):
    """Expired, or from the future: one of two clocks may be wrong."""


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def public_jwk(key: Ed25519PublicKey) -> dict[str, str]:
    """The key as RFC 8037 JWK, named by its RFC 7638 thumbprint."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    required = {"crv": "Ed25519", "kty": "OKP", "x": _b64(raw)}
    thumbprint = hashlib.sha256(json.dumps(required, sort_keys=True, separators=(",", ":")).encode()).digest()
    return {**required, "kid": _b64(thumbprint), "alg": ALGORITHM, "use": "sig"}


def keys_from_jwks(jwks: Mapping[str, Any]) -> dict[str, Ed25519PublicKey]:
    """Public keys by key id; keys of another type are passed over."""
    return {
        jwk["kid"]: Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(jwk["x"] + "="))
        for jwk in jwks["keys"]
        if jwk.get("kty") == "OKP" and jwk.get("crv") == "Ed25519"
    }


def load_private_key(pem: str) -> Ed25519PrivateKey:
    """Reads a PKCS#8 PEM. Raises ValueError when it is anything but an Ed25519 private key."""
    try:
        key = serialization.load_pem_private_key(pem.encode(), password=None)
    except (TypeError, UnsupportedAlgorithm) as error:  # it is encrypted, or of a kind nobody here knows
        raise ValueError(str(error)) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 private key")
    return key


def load_public_keys(pems: str) -> tuple[Ed25519PublicKey, ...]:
    """Reads one or more SubjectPublicKeyInfo PEMs, one after the other: two while a key is being replaced.

    Raises ValueError when anything else is there.
    """
    blocks = [f"{block}{PEM_END}\n" for block in pems.strip().split(PEM_END)[:-1]]
    if not blocks or not pems.strip().endswith(PEM_END):
        raise ValueError("not a public key in PEM form")
    return tuple(_load_public_key(block) for block in blocks)


def _load_public_key(pem: str) -> Ed25519PublicKey:
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def sign(key: Ed25519PrivateKey, typ: str, claims: dict[str, Any]) -> str:
    kid = public_jwk(key.public_key())["kid"]
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": typ, "kid": kid})


def verify(token: str, key: Ed25519PublicKey, *, audience: str, issuer: str) -> dict[str, Any]:
    """The claims, whose time is still to be checked. Raises InvalidToken."""
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=issuer,
            options={
                "require": ["exp", "iat", "aud", "iss"],
                "strict_aud": True,
                "verify_exp": False,
                "verify_iat": False,
                "verify_nbf": False,
            },
        )
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise InvalidToken(str(error)) from None
    if "nbf" in claims or not all(isinstance(claims[name], int) for name in ("iat", "exp")):
        raise InvalidToken("its times are not as we write them")
    return claims


def check_time(claims: Mapping[str, Any], now: float) -> None:
    """Raises NotInTime. `now` in Unix seconds, by the clock that counts for whoever checks."""
    if claims["exp"] + CLOCK_LEEWAY_S <= now:
        raise NotInTime(f"expired {now - claims['exp']:.0f} s ago")
    if claims["iat"] - CLOCK_LEEWAY_S > now:
        raise NotInTime(f"issued {claims['iat'] - now:.0f} s in the future")


def checked_header(token: str, typ: str) -> str:
    """The key id. A header with anything more than alg, typ and kid (jwk, jku, x5c, crit) is refused."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, TypeError):
        raise InvalidToken("not a JWT") from None
    if set(header) != {"alg", "typ", "kid"} or header["typ"] != typ or header["alg"] != ALGORITHM:
        raise InvalidToken("a token of another kind")
    if not str(header["kid"]).isprintable():
        raise InvalidToken("a key's id that a database cannot be asked about")
    return str(header["kid"])


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who is asking, as an access token says; `expires_at` in Unix seconds.

    `generation` counts how often the user's sessions were ended: a token of an earlier one is signed out. So is one of
    a `session_id` that has ended; tokens of a release before have none.
    """

    user_id: UUID
    username: str
    role: Role
    generation: int
    expires_at: int
    session_id: UUID | None = None


def sign_access(
    key: Ed25519PrivateKey,
    user_id: UUID,
    username: str,
    role: str,
    life_s: int,
    *,
    generation: int = 0,
    session_id: UUID | None = None,
) -> str:
    """An access token for one user, valid for `life_s` seconds."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": ACCESS_AUDIENCE,
        "sub": str(user_id),
        "username": username,
        "role": role,
        "gen": generation,
        "iat": now,
        "exp": now + life_s,
        "jti": secrets.token_hex(8),
    }
    if session_id:
        claims["sid"] = str(session_id)
    return sign(key, ACCESS_TYP, claims)


def verify_access(
    token: str, keys: Mapping[str, Ed25519PublicKey], now: Callable[[], float] = time.time
) -> AccessClaims:
    """Checks an access token offline. Raises UnknownKey when `keys` lacks its key, else InvalidToken."""
    kid = checked_header(token, ACCESS_TYP)
    if kid not in keys:
        raise UnknownKey(kid)
    claims = verify(token, keys[kid], audience=ACCESS_AUDIENCE, issuer=ISSUER)
    check_time(claims, now())
    try:
        if claims["role"] not in ("student", "teacher", "admin"):
            raise InvalidToken("unknown role")
        return AccessClaims(
            UUID(claims["sub"]),
            str(claims["username"]),
            claims["role"],
            int(claims["gen"]),
            claims["exp"],
            UUID(claims["sid"]) if "sid" in claims else None,
        )
    except (AttributeError, KeyError, ValueError, TypeError):
        raise InvalidToken("claims are missing") from None
