"""Every token that crosses a service's border: access tokens of people, tokens of services.

Each kind has its own `typ`, its own `aud` and its own Ed25519 key; a verifier accepts one algorithm (RFC 8725).
Only the VPS holds a private key for access tokens; the nodes check them offline with its published JWKS.
"""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Mapping
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
SERVICE_TYP = "service+jwt"
SERVICE_LIFE_S = 60
CLOCK_LEEWAY_S = 10

Role = Literal["student", "teacher", "admin"]


class InvalidToken(Exception):
    """Whatever is wrong with a token; callers answer 401 and do not tell which."""


class UnknownKey(InvalidToken):
    """Signed by a key that is not known here, perhaps not yet."""


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


def load_public_key(pem: str) -> Ed25519PublicKey:
    """Reads a SubjectPublicKeyInfo PEM. Raises ValueError when it is anything but an Ed25519 public key."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except UnsupportedAlgorithm as error:
        raise ValueError(str(error)) from None
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 public key")
    return key


def _sign(key: Ed25519PrivateKey, typ: str, claims: dict[str, Any]) -> str:
    kid = public_jwk(key.public_key())["kid"]
    return jwt.encode(claims, key, algorithm=ALGORITHM, headers={"typ": typ, "kid": kid})


def _verify(token: str, key: Ed25519PublicKey, audience: str, issuer: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=audience,
            issuer=issuer,
            leeway=CLOCK_LEEWAY_S,
            options={"require": ["exp", "iat", "aud", "iss"], "strict_aud": True},
        )
    except (jwt.InvalidTokenError, ValueError, TypeError) as error:
        raise InvalidToken(str(error)) from None
    return claims


def _checked_header(token: str, typ: str) -> str:
    """The key id. A header with anything more than alg, typ and kid (jwk, jku, x5c, crit) is refused."""
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.InvalidTokenError, ValueError, TypeError):
        raise InvalidToken("not a JWT") from None
    if set(header) != {"alg", "typ", "kid"} or header["typ"] != typ or header["alg"] != ALGORITHM:
        raise InvalidToken("a token of another kind")
    return str(header["kid"])


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """Who is asking, as an access token says; `expires_at` in Unix seconds."""

    user_id: UUID
    username: str
    role: Role
    expires_at: int


def sign_access(key: Ed25519PrivateKey, user_id: UUID, username: str, role: str, life_s: int) -> str:
    """An access token for one user, valid for `life_s` seconds."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": ACCESS_AUDIENCE,
        "sub": str(user_id),
        "username": username,
        "role": role,
        "iat": now,
        "exp": now + life_s,
        "jti": secrets.token_hex(8),
    }
    return _sign(key, ACCESS_TYP, claims)


def verify_access(token: str, keys: Mapping[str, Ed25519PublicKey]) -> AccessClaims:
    """Checks an access token offline. Raises UnknownKey when `keys` lacks its key, else InvalidToken."""
    kid = _checked_header(token, ACCESS_TYP)
    if kid not in keys:
        raise UnknownKey(kid)
    claims = _verify(token, keys[kid], ACCESS_AUDIENCE, ISSUER)
    try:
        if claims["role"] not in ("student", "teacher", "admin"):
            raise InvalidToken("unknown role")
        return AccessClaims(UUID(claims["sub"]), str(claims["username"]), claims["role"], int(claims["exp"]))
    except (KeyError, ValueError):
        raise InvalidToken("claims are missing") from None


def _body_hash(body: bytes) -> str:
    return _b64(hashlib.sha256(body).digest())


class ServiceSigner:
    """Signs this service's calls to the other one."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self.name, self._key = name, key

    def token(self, audience: str, method: str, target: str, body: bytes) -> str:
        """A token for one call: bound to method, target (path and query) and body, good for 60 s."""
        now = int(time.time())
        claims = {
            "iss": self.name,
            "aud": audience,
            "iat": now,
            "exp": now + SERVICE_LIFE_S,
            "jti": secrets.token_urlsafe(16),
            "method": method,
            "target": target,
            "body": _body_hash(body),
        }
        return _sign(self._key, SERVICE_TYP, claims)


class ServiceVerifier:
    """Checks calls from known peers and refuses a token that was used before."""

    def __init__(self, name: str, peers: Mapping[str, Ed25519PublicKey]) -> None:
        self.name = name
        self._peers = {public_jwk(key)["kid"]: (peer, key) for peer, key in peers.items()}
        self._seen: dict[str, int] = {}

    def verify(self, token: str, method: str, target: str, body: bytes) -> str:
        """The calling peer's name. Raises InvalidToken."""
        kid = _checked_header(token, SERVICE_TYP)
        if kid not in self._peers:
            raise UnknownKey(kid)
        peer, key = self._peers[kid]
        claims = _verify(token, key, self.name, peer)
        bound = (claims.get("method"), claims.get("target"), claims.get("body"))
        if bound != (method, target, _body_hash(body)):
            raise InvalidToken("the token was made for another call")
        if claims["exp"] - claims["iat"] > SERVICE_LIFE_S:
            raise InvalidToken("the token claims too long a life")
        self._spend(str(claims.get("jti", "")), claims["exp"])
        return peer

    def _spend(self, jti: str, expires_at: int) -> None:
        """Remembers the token until nobody could accept it any more."""
        now = time.time()
        while self._seen and next(iter(self._seen.values())) + CLOCK_LEEWAY_S < now:
            del self._seen[next(iter(self._seen))]
        if not jti or jti in self._seen:
            raise InvalidToken("the token was used before")
        self._seen[jti] = expires_at
