"""Links in mails. What a link proves stands behind the #, which browsers send to nobody, so that no log has it."""

import base64
import hmac
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


@lru_cache(maxsize=4)
def _key(access_key: Ed25519PrivateKey) -> bytes:
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"toptank: tokens of mailed links")
    return derived.derive(access_key.private_bytes_raw())


def proof_token(access_key: Ed25519PrivateKey, proof_id: UUID) -> str:
    """256 bits that nobody can tell who has no access key. It follows from the proof's id, so that the database, where
    mails wait until they are sent, never has it: it has its hash.
    """
    return base64.urlsafe_b64encode(hmac.digest(_key(access_key), proof_id.bytes, "sha256")).rstrip(b"=").decode()


def link(pages_url: str, page: str, token: str | None) -> str:
    return f"{pages_url}/{page}#token={token}" if token else f"{pages_url}/{page}"
