"""Access tokens that were verified before: a signature is checked once, and not with every request."""

import time
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from shared.tokens import AccessClaims, verify_access

MAX_VERIFIED = 50_000


class VerifiedTokens:
    """Of one process. What a token says stays; whether its user may still use it is asked of the database."""

    def __init__(self, keys: Mapping[str, Ed25519PublicKey], now: Callable[[], float] = time.time) -> None:
        self._keys, self._now = keys, now
        self._verified: dict[str, AccessClaims] = {}

    def claims(self, token: str) -> AccessClaims:
        """Raises InvalidToken, for one that has expired since it was verified too."""
        known = self._verified.get(token)
        if known is not None and known.expires_at > self._now():
            return known
        claims = verify_access(token, self._keys, self._now)
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        self._verified[token] = claims
        return claims
