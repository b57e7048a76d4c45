"""The token in a signed link: which video, which playback, until when at most; an HMAC says that this node wrote it.

It stands in the path, so that whatever a playlist names beside itself inherits it. It is of no use to the VPS or to
another node: its secrets are this node's, and no other token is signed with them.
"""

import binascii
import hashlib
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

LAYOUT = struct.Struct(">I16s16sI")
"""Number of the secret, the video's id, the playback's id, Unix seconds."""
MAC_BYTES = 32
LENGTH = (LAYOUT.size + MAC_BYTES) * 4 // 3
PURPOSE = b"toptank playback 1\0"
"""Before what is signed: nothing signed for anything else is ever good here."""


class NoToken(Exception):
    """It was not signed here."""


class OutdatedToken(NoToken):
    """It says that it was signed with a secret that is not live any more."""


class Claims(NamedTuple):
    """What a token says. `ends_at` in Unix seconds: nothing is served by it from then on."""

    video_id: str
    playback_id: str
    ends_at: int


@dataclass(frozen=True, slots=True)
class Secret:
    """`made_at` in Unix seconds."""

    number: int
    value: bytes
    made_at: int


def of_node(value: bytes, node_id: str) -> bytes:
    """What a node signs with, of what its database holds: a copy of that is of no use to a node of another name."""
    return hmac.digest(value, node_id.encode(), hashlib.sha256)


def sign(secret: Secret, claims: Claims) -> str:
    said = LAYOUT.pack(secret.number, UUID(claims.video_id).bytes, UUID(claims.playback_id).bytes, claims.ends_at)
    return urlsafe_b64encode(said + _mac(secret, said)).decode()


def read(secrets: Sequence[Secret], token: str) -> Claims:
    """Checked but for the time. Raises OutdatedToken, NoToken."""
    if len(token) != LENGTH:
        raise NoToken
    try:
        raw = urlsafe_b64decode(token)
    except (binascii.Error, ValueError):
        raise NoToken from None
    if urlsafe_b64encode(raw).decode() != token:  # decoders pass over letters that do not belong there
        raise NoToken
    said, mac = raw[: LAYOUT.size], raw[LAYOUT.size :]
    number, video, playback, ends_at = LAYOUT.unpack(said)
    secret = next((one for one in secrets if one.number == number), None)
    if secret is None:
        raise OutdatedToken
    if not hmac.compare_digest(mac, _mac(secret, said)):
        raise NoToken
    return Claims(_id_of(video), _id_of(playback), ends_at)


def _id_of(raw: bytes) -> str:
    """As `str(UUID(bytes=raw))` in a fraction of its time: this is done for each request."""
    digits = raw.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _mac(secret: Secret, said: bytes) -> bytes:
    return hmac.digest(secret.value, PURPOSE + said, hashlib.sha256)
