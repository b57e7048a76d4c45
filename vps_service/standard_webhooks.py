"""Signatures of webhooks, as https://www.standardwebhooks.com has them: symmetric, version 1."""

import base64
import hashlib
import hmac
from collections.abc import Mapping

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S = 5 * 60


class BadSignature(Exception):
    """Not signed with this secret, or not just now."""


def _signature(secret: str, message_id: str, timestamp: str, body: bytes) -> str:
    content = f"{message_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), content, hashlib.sha256)).decode()


def signed_headers(secret: str, message_id: str, body: bytes, now: float) -> dict[str, str]:
    """The three headers of a message sent at `now`, in Unix seconds."""
    timestamp = str(int(now))
    return {ID: message_id, TIMESTAMP: timestamp, SIGNATURE: _signature(secret, message_id, timestamp, body)}


def check(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """Raises BadSignature. `headers` by lower-case name; there may be several signatures while a secret is renewed."""
    message_id, timestamp, given = (headers.get(name, "") for name in (ID, TIMESTAMP, SIGNATURE))
    if not secret or not message_id or not (timestamp.isascii() and timestamp.isdigit()) or len(timestamp) > 12:
        raise BadSignature
    if abs(now - int(timestamp)) > TOLERANCE_S:
        raise BadSignature
    expected = _signature(secret, message_id, timestamp, body).encode()
    if not any(hmac.compare_digest(expected, one.encode()) for one in given.split(" ")):
        raise BadSignature
