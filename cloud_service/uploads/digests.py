"""`Repr-Digest` (RFC 9530): what the client says the bytes are, and what we say that we stored."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

from cloud_service.uploads.errors import DigestMismatch, InvalidDigest

HEADER = "Repr-Digest"
ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
MEMBER = re.compile(r"([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/=]*):(?:;[^,]*)?")
"""A member of the dictionary, with a byte sequence as its value (RFC 8941 3.2, 3.3.5)."""


def claimed_digests(fields: Iterable[str]) -> dict[str, bytes]:
    """By algorithm, of those that can be checked here; others are passed over. Raises InvalidDigest."""
    claimed = {}
    for member in ",".join(fields).split(","):
        read = MEMBER.fullmatch(member.strip(" \t"))
        if read is None:
            raise InvalidDigest("It has to look like sha-256=:base64:.")
        algorithm, encoded = read.groups()
        if algorithm in ALGORITHMS:
            claimed[algorithm] = _decoded(algorithm, encoded)
    return claimed


def _decoded(algorithm: str, encoded: str) -> bytes:
    try:
        digest = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        raise InvalidDigest(f"The {algorithm} digest is no Base64.") from None
    length = ALGORITHMS[algorithm]().digest_size
    if len(digest) != length:
        raise InvalidDigest(f"A {algorithm} digest has {length} bytes.")
    return digest


def check_digests(claimed: Mapping[str, bytes], found: Mapping[str, bytes]) -> None:
    """Raises DigestMismatch."""
    for algorithm, digest in claimed.items():
        if not hmac.compare_digest(digest, found[algorithm]):
            raise DigestMismatch(f"The bytes that arrived have another {algorithm} digest than was sent with them.")


def repr_digest(sha256: str) -> str:
    """The field for this SHA-256, given in hexadecimal."""
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"
