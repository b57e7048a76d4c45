"""The `Repr-Digest` field as RFC 9530 and RFC 8941 write it."""

import base64
import hashlib

import pytest

from cloud_service.uploads.digests import claimed_digests, repr_digest
from cloud_service.uploads.errors import InvalidDigest

SHA256, SHA512 = hashlib.sha256(b"film").digest(), hashlib.sha512(b"film").digest()
FIRST, SECOND = (base64.b64encode(digest).decode() for digest in (SHA256, SHA512))


@pytest.mark.parametrize(
    ("fields", "claimed"),
    [
        ([f"sha-256=:{FIRST}:"], {"sha-256": SHA256}),
        ([f"sha-256=:{FIRST}:,sha-512=:{SECOND}:"], {"sha-256": SHA256, "sha-512": SHA512}),
        ([f"sha-256=:{FIRST}: ,\t sha-512=:{SECOND}:"], {"sha-256": SHA256, "sha-512": SHA512}),
        ([f"sha-256=:{FIRST}:", f"sha-512=:{SECOND}:"], {"sha-256": SHA256, "sha-512": SHA512}),
        ([f"sha-256=:{FIRST}:;from=edge"], {"sha-256": SHA256}),
        ([f"sha-256=:{base64.b64encode(SHA256[::-1]).decode()}:, sha-256=:{FIRST}:"], {"sha-256": SHA256}),
        (["md5=:AAAA:"], {}),
        (["unixsum=::"], {}),
    ],
)
def test_what_can_be_checked_is_read(fields: list[str], claimed: dict[str, bytes]) -> None:
    assert claimed_digests(fields) == claimed


@pytest.mark.parametrize(
    "field",
    [
        "",
        " ",
        ",",
        "sha-256",
        f"sha-256={FIRST}",
        f"sha-256=:{FIRST}",
        f"SHA-256=:{FIRST}:",
        f"sha-256 =:{FIRST}:",
        f"sha-256=:{FIRST}:,",
        f"sha-256=:{FIRST[:-1]}:",
        f"sha-256=:{SECOND}:",
        f"sha-512=:{FIRST}:",
        "sha-256=::",
        "sha-256=:AAA=A:",
        'sha-256="hexadecimal"',
    ],
)
def test_what_cannot_be_read_is_refused(field: str) -> None:
    with pytest.raises(InvalidDigest):
        claimed_digests([field])


def test_what_is_told_can_be_read_again() -> None:
    assert claimed_digests([repr_digest(SHA256.hex())]) == {"sha-256": SHA256}
