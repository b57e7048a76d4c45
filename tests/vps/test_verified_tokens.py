"""A token that was verified once is not believed for longer, nor is another for its sake."""

import time
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.tokens import CLOCK_LEEWAY_S, InvalidToken, NotInTime, UnknownKey, public_jwk, sign_access
from vps_service.accounts.verified import VerifiedTokens

KEY = Ed25519PrivateKey.generate()
KEYS = {public_jwk(KEY.public_key())["kid"]: KEY.public_key()}
USER = UUID("019a0000-0000-7000-8000-000000000000")
LIFE_S = 60


def access(key: Ed25519PrivateKey = KEY) -> str:
    return sign_access(key, USER, "sara", "student", LIFE_S, generation=3)


def test_a_token_says_the_same_each_time() -> None:
    tokens, token = VerifiedTokens(KEYS), access()
    first, again = tokens.claims(token), tokens.claims(token)
    assert (first.user_id, first.generation) == (USER, 3)
    assert again == first


def test_a_token_that_was_verified_expires_all_the_same() -> None:
    now = time.time()
    tokens, token = VerifiedTokens(KEYS, lambda: now), access()
    for passed in (0, LIFE_S - 1, 5):
        now += passed
        tokens.claims(token)
    now += CLOCK_LEEWAY_S
    with pytest.raises(NotInTime):
        tokens.claims(token)


def test_a_token_that_is_forged_from_a_verified_one_is_refused() -> None:
    tokens, token = VerifiedTokens(KEYS), access()
    tokens.claims(token)
    head, claims, signature = token.split(".")
    others_claims = access().split(".")[1]
    for forged in (f"{head}.{claims}.", f"{head}.{others_claims}.{signature}", f"{head}.{claims}.{signature[::-1]}"):
        with pytest.raises(InvalidToken):
            tokens.claims(forged)
    with pytest.raises(UnknownKey):
        tokens.claims(access(Ed25519PrivateKey.generate()))


def test_a_token_that_was_refused_is_refused_again() -> None:
    tokens, token = VerifiedTokens(KEYS), access(Ed25519PrivateKey.generate())
    for _ in range(2):
        with pytest.raises(UnknownKey):
            tokens.claims(token)
