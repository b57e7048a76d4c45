"""Tokens by themselves: what is signed is what is verified, by the right key, for the right purpose, once."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared import tokens
from shared.tokens import InvalidToken, ServiceSigner, ServiceVerifier, UnknownKey, public_jwk, verify_access

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
USER = UUID("019a0000-0000-7000-8000-000000000000")


def known(*keys: Ed25519PrivateKey) -> dict[str, Ed25519PublicKey]:
    return tokens.keys_from_jwks({"keys": [public_jwk(key.public_key()) for key in keys]})


def access(key: Ed25519PrivateKey = KEY, life_s: int = 60, role: str = "student") -> str:
    return tokens.sign_access(key, USER, "sara", role, life_s)


def test_an_access_token_says_who_it_is_of() -> None:
    claims = verify_access(access(), known(OTHER, KEY))
    assert (claims.user_id, claims.username, claims.role) == (USER, "sara", "student")
    assert claims.expires_at == pytest.approx(time.time() + 60, abs=3)


def test_no_two_access_tokens_are_alike() -> None:
    assert len({access() for _ in range(10)}) == 10


def test_an_unknown_key_is_told_apart_so_that_the_keys_can_be_fetched_again() -> None:
    with pytest.raises(UnknownKey):
        verify_access(access(OTHER), known(KEY))
    with pytest.raises(InvalidToken) as wrong:
        verify_access(access(KEY)[:-8] + "AAAAAAAA", known(KEY))
    assert not isinstance(wrong.value, UnknownKey)


def test_a_token_lives_as_long_as_it_says_give_or_take_the_leeway() -> None:
    verify_access(access(life_s=-tokens.CLOCK_LEEWAY_S + 3), known(KEY))
    with pytest.raises(InvalidToken):
        verify_access(access(life_s=-tokens.CLOCK_LEEWAY_S - 2), known(KEY))


def test_a_key_is_named_by_its_thumbprint() -> None:
    """The example of RFC 8037, appendix A.3."""
    jwk = {"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    key = tokens.keys_from_jwks({"keys": [jwk]})["x"]
    assert public_jwk(key)["kid"] == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def test_keys_of_another_type_are_passed_over() -> None:
    others = [{"kty": "RSA", "kid": "a"}, {"kty": "OKP", "crv": "X25519", "kid": "b", "x": "AA"}]
    assert tokens.keys_from_jwks({"keys": others}) == {}


def test_only_ed25519_keys_are_read() -> None:
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    elliptic = generate_private_key(SECP256R1())
    locked = KEY.private_bytes(pem, pkcs8, serialization.BestAvailableEncryption(b"x")).decode()
    for private in (elliptic.private_bytes(pem, pkcs8, serialization.NoEncryption()).decode(), locked, "", "x"):
        with pytest.raises(ValueError, match=r"\w"):
            tokens.load_private_key(private)
    public = elliptic.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    for text in (public, locked, "", "x"):
        with pytest.raises(ValueError, match=r"\w"):
            tokens.load_public_key(text)


# --- between the services ----------------------------------------------------------------------------------

CALL = ("POST", "/internal/events?a=1", b'{"id": 1}')


def pair() -> tuple[ServiceSigner, ServiceVerifier]:
    return ServiceSigner("node-1", KEY), ServiceVerifier("vps", {"node-1": KEY.public_key()})


def test_a_call_is_verified_as_it_was_signed_and_says_by_whom() -> None:
    signer, verifier = pair()
    assert verifier.verify(signer.token("vps", *CALL), *CALL) == "node-1"


@pytest.mark.parametrize(
    "call",
    [
        ("PUT", CALL[1], CALL[2]),
        ("POST", "/internal/events", CALL[2]),
        ("POST", "/internal/events?a=2", CALL[2]),
        ("POST", "/internal/access?a=1", CALL[2]),
        ("POST", CALL[1], b""),
        ("POST", CALL[1], CALL[2] + b" "),
    ],
)
def test_a_call_that_was_altered_is_refused(call: tuple[str, str, bytes]) -> None:
    signer, verifier = pair()
    with pytest.raises(InvalidToken):
        verifier.verify(signer.token("vps", *CALL), *call)


def test_a_call_is_verified_once_but_a_refused_one_spends_nothing() -> None:
    signer, verifier = pair()
    token = signer.token("vps", *CALL)
    with pytest.raises(InvalidToken):
        verifier.verify(token, "POST", CALL[1], b"altered")
    verifier.verify(token, *CALL)
    with pytest.raises(InvalidToken):
        verifier.verify(token, *CALL)


def test_a_call_to_somebody_else_or_from_somebody_else_is_refused() -> None:
    signer, verifier = pair()
    mirror = ServiceVerifier("node-1", {"vps": OTHER.public_key()})
    for token, receiver in (
        (signer.token("node-1", *CALL), mirror),  # reflected to its sender
        (signer.token("node-2", *CALL), verifier),
        (ServiceSigner("node-2", KEY).token("vps", *CALL), verifier),  # a known key under another name
        (ServiceSigner("node-1", OTHER).token("vps", *CALL), verifier),
        (access(), verifier),
    ):
        with pytest.raises(InvalidToken):
            receiver.verify(token, *CALL)
    with pytest.raises(InvalidToken):
        verify_access(signer.token("toptank", *CALL), known(KEY))


@contextmanager
def clock_at(moment: float, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr("time.time", lambda: moment)
        yield


def test_a_call_is_refused_when_it_is_late_or_early(monkeypatch: pytest.MonkeyPatch) -> None:
    signer, verifier = pair()
    now = time.time()
    for shift in (-100.0, 100.0):
        with clock_at(now + shift, monkeypatch):
            token = signer.token("vps", *CALL)
        with pytest.raises(InvalidToken):
            verifier.verify(token, *CALL)


def test_spent_tokens_are_forgotten_only_when_nobody_could_accept_them(monkeypatch: pytest.MonkeyPatch) -> None:
    signer, verifier = pair()
    for _ in range(50):
        verifier.verify(signer.token("vps", *CALL), *CALL)
    assert len(verifier._seen) == 50
    later = time.time() + tokens.SERVICE_LIFE_S + tokens.CLOCK_LEEWAY_S + 2
    with clock_at(later, monkeypatch):
        verifier._spend(str(uuid4()), int(later) + 60)
    assert len(verifier._seen) == 1


def test_a_call_may_not_claim_a_long_life() -> None:
    _, verifier = pair()
    signer, _ = pair()
    claims = jwt.decode(signer.token("vps", *CALL), options={"verify_signature": False})
    headers = {"typ": tokens.SERVICE_TYP, "kid": public_jwk(KEY.public_key())["kid"]}
    token = jwt.encode(claims | {"exp": claims["iat"] + 3600}, KEY, algorithm="EdDSA", headers=headers)
    with pytest.raises(InvalidToken):
        verifier.verify(token, *CALL)
