"""Access tokens by themselves, and the keys that every kind shares: what is signed is what is verified."""

import time
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared import tokens
from shared.tokens import InvalidToken, NotInTime, UnknownKey, public_jwk, verify_access

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
USER = UUID("019a0000-0000-7000-8000-000000000000")


def known(*keys: Ed25519PrivateKey) -> dict[str, Ed25519PublicKey]:
    return tokens.keys_from_jwks({"keys": [public_jwk(key.public_key()) for key in keys]})


def access(key: Ed25519PrivateKey = KEY, life_s: int = 60, role: str = "student", generation: int = 0) -> str:
    return tokens.sign_access(key, USER, "sara", role, life_s, generation=generation)


def public_pem(*keys: Ed25519PrivateKey) -> str:
    how = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return "".join(key.public_key().public_bytes(*how).decode() for key in keys)


def test_an_access_token_says_who_it_is_of() -> None:
    claims = verify_access(access(generation=3), known(OTHER, KEY))
    assert (claims.user_id, claims.username, claims.role, claims.generation) == (USER, "sara", "student", 3)
    assert claims.expires_at == pytest.approx(time.time() + 60, abs=3)


def test_an_access_token_names_its_session_and_one_of_the_release_before_none() -> None:
    session_id = UUID("019a0000-0000-7000-8000-00000000000a")
    token = tokens.sign_access(KEY, USER, "sara", "student", 60, session_id=session_id)
    assert verify_access(token, known(KEY)).session_id == session_id
    assert verify_access(access(), known(KEY)).session_id is None


@pytest.mark.parametrize("odd", ["", "1", 1, None, ["a"]])
def test_a_session_that_is_no_id_is_refused(odd: object) -> None:
    claims = jwt.decode(access(), options={"verify_signature": False}) | {"sid": odd}
    with pytest.raises(InvalidToken):
        verify_access(tokens.sign(KEY, tokens.ACCESS_TYP, claims), known(KEY))


def test_no_two_access_tokens_are_alike() -> None:
    assert len({access() for _ in range(10)}) == 10


def test_an_unknown_key_is_told_apart_so_that_the_keys_can_be_fetched_again() -> None:
    with pytest.raises(UnknownKey):
        verify_access(access(OTHER), known(KEY))
    with pytest.raises(InvalidToken) as wrong:
        verify_access(access(KEY)[:-8] + "AAAAAAAA", known(KEY))
    assert not isinstance(wrong.value, UnknownKey)


def test_a_token_lives_as_long_as_it_says_give_or_take_the_leeway() -> None:
    token, now = access(life_s=60), int(time.time())
    verify_access(token, known(KEY), lambda: now + 60 + tokens.CLOCK_LEEWAY_S - 2)
    with pytest.raises(NotInTime, match="expired"):
        verify_access(token, known(KEY), lambda: now + 60 + tokens.CLOCK_LEEWAY_S + 2)
    verify_access(token, known(KEY), lambda: now - tokens.CLOCK_LEEWAY_S + 2)
    with pytest.raises(NotInTime, match="in the future"):
        verify_access(token, known(KEY), lambda: now - tokens.CLOCK_LEEWAY_S - 2)


@pytest.mark.parametrize("missing", ["gen", "exp", "iat", "aud", "iss", "sub", "username", "role"])
def test_a_token_without_one_of_its_claims_is_refused(missing: str) -> None:
    claims = jwt.decode(access(), options={"verify_signature": False})
    del claims[missing]
    with pytest.raises(InvalidToken):
        verify_access(tokens.sign(KEY, tokens.ACCESS_TYP, claims), known(KEY))


@pytest.mark.parametrize("odd", [{"nbf": 0}, {"exp": "9999999999"}, {"iat": 1e300}, {"exp": float("inf")}])
def test_times_that_we_do_not_write_are_refused(odd: dict[str, object]) -> None:
    claims = jwt.decode(access(), options={"verify_signature": False}) | odd
    with pytest.raises(InvalidToken):
        verify_access(tokens.sign(KEY, tokens.ACCESS_TYP, claims), known(KEY))


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
    for text in (public, public_pem(KEY) + public, locked, public_pem(KEY)[:-8], public_pem(KEY) + "x", "", "x"):
        with pytest.raises(ValueError, match=r"\w"):
            tokens.load_public_keys(text)


def test_one_file_holds_both_keys_while_one_is_being_replaced() -> None:
    names = [public_jwk(key)["kid"] for key in tokens.load_public_keys(f"\n{public_pem(KEY, OTHER)}\n\n")]
    assert names == [public_jwk(key.public_key())["kid"] for key in (KEY, OTHER)]
