"""What the headers of tus 1.0.0 say (https://tus.io/protocols/resumable-upload)."""

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from cloud_service.uploads.tus.errors import BadUploadHeader, UnknownChecksum

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,termination,checksum,expiration"
ALGORITHMS = {"sha1": 20, "sha256": 32}
"""And the length of each one's checksum in bytes."""
CONTENT_TYPE = "application/offset+octet-stream"

MAX_METADATA = 8 * 1024
_KEY = re.compile(r"[!-+\--~]+")
"""Printable ASCII without spaces and commas."""


@dataclass(frozen=True, slots=True)
class Checksum:
    algorithm: str
    digest: bytes


def checksum_of(header: str | None) -> Checksum | None:
    """`Upload-Checksum`: an algorithm and a checksum in Base64. Raises UnknownChecksum, BadUploadHeader."""
    if header is None:
        return None
    algorithm, _, encoded = header.partition(" ")
    if algorithm not in ALGORITHMS:
        raise UnknownChecksum
    digest = _decoded(encoded, "Upload-Checksum")
    if len(digest) != ALGORITHMS[algorithm]:
        raise BadUploadHeader(f"Upload-Checksum: a {algorithm} has {ALGORITHMS[algorithm]} bytes.")
    return Checksum(algorithm, digest)


def metadata_of(header: str) -> dict[str, str]:
    """`Upload-Metadata`: keys with a value in Base64 each, or none. Raises BadUploadHeader."""
    if len(header) > MAX_METADATA:
        raise BadUploadHeader(f"Upload-Metadata: at most {MAX_METADATA} characters.")
    metadata: dict[str, str] = {}
    for pair in header.split(",") if header else []:
        key, _, encoded = pair.partition(" ")
        if not _KEY.fullmatch(key) or key in metadata:
            raise BadUploadHeader("Upload-Metadata: every key is there once, in ASCII, before its value.")
        try:
            metadata[key] = _decoded(encoded, "Upload-Metadata").decode()
        except UnicodeDecodeError:
            raise BadUploadHeader(f"Upload-Metadata: {key} is no text in UTF-8.") from None
    return metadata


def _decoded(encoded: str, header: str) -> bytes:
    try:
        return b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise BadUploadHeader(f"{header}: the value is no Base64.") from None


def http_date(unix_s: float) -> str:
    """RFC 7231 7.1.1.1."""
    return format_datetime(datetime.fromtimestamp(int(unix_s), UTC), usegmt=True)
