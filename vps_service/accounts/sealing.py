"""What is kept of secrets that must be read again, and of codes that are too short to be hashed without a key."""

import hmac
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

NONCE_BYTES = 12


class Unreadable(Exception):
    """Sealed with another key, or for another user."""


class CodesKey:
    """One secret of the installation, from which a key for each use is derived (RFC 5869).

    Without it, whoever has read the database can neither make one-time passwords nor find out codes by trying all.
    """

    def __init__(self, secret: str) -> None:
        self._sealing = AESGCM(_derived(secret, b"toptank sealed secrets"))
        self._hashing = _derived(secret, b"toptank hashed codes")

    def seal(self, user_id: UUID, secret: str) -> bytes:
        """AES-256-GCM, readable for this user only: a row that is copied to another one is worth nothing."""
        nonce = os.urandom(NONCE_BYTES)
        return nonce + self._sealing.encrypt(nonce, secret.encode(), user_id.bytes)

    def unseal(self, user_id: UUID, sealed: bytes) -> str:
        """Raises Unreadable."""
        try:
            return self._sealing.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], user_id.bytes).decode()
        except InvalidTag:
            raise Unreadable from None

    def hash(self, user_id: UUID, purpose: str, code: str) -> bytes:
        """HMAC-SHA256 of one user's code for one purpose; `purpose` has no NUL."""
        return hmac.digest(self._hashing, user_id.bytes + f"{purpose}\0{code}".encode(), "sha256")


def _derived(secret: str, use: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=use).derive(secret.encode())
