"""Tokens between the services by themselves: bound to one call or to one answer, by the right key, in time."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared import tokens
from shared.service_tokens import (
    ANSWER_TYP,
    CALL_TYP,
    LIFE_S,
    Call,
    ServiceSigner,
    SignedCall,
    caller_key_id,
    keys_by_id,
    verify_answer,
    verify_call,
)
from shared.tokens import CLOCK_LEEWAY_S, InvalidToken, NotInTime, UnknownKey, public_jwk, verify_access

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
CALL = Call("POST", "/internal/events?a=1", b'{"id": 1}')
NOON = 1_800_000_000.0
NODE = ServiceSigner("node-1", KEY, lambda: NOON)
VPS = ServiceSigner("vps", OTHER, lambda: NOON)


def verified(token: str, call: Call = CALL) -> SignedCall:
    return verify_call(token, KEY.public_key(), call, caller="node-1", called="vps")


def changed(token: str, key: Ed25519PrivateKey = KEY, typ: str = CALL_TYP, **claims: Any) -> str:
    """Signed by whoever has the key, but saying something else; None leaves a claim out."""
    said = jwt.decode(token, options={"verify_signature": False}) | claims
    return tokens.sign(key, typ, {name: value for name, value in said.items() if value is not None})


# --- calls ------------------------------------------------------------------------------------------------


def test_a_call_is_verified_as_it_was_signed() -> None:
    token, token_id = NODE.call("vps", CALL)
    call = verified(token)
    assert (call.token_id, call.expires_at) == (token_id, NOON + LIFE_S)
    assert caller_key_id(token) == public_jwk(KEY.public_key())["kid"]


@pytest.mark.parametrize(
    "call",
    [
        Call("PUT", CALL.target, CALL.body),
        Call("POST", "/internal/events", CALL.body),
        Call("POST", "/internal/events?a=2", CALL.body),
        Call("POST", "/internal/access?a=1", CALL.body),
        Call("POST", CALL.target, b""),
        Call("POST", CALL.target, CALL.body + b" "),
    ],
)
def test_a_call_that_was_altered_is_refused(call: Call) -> None:
    with pytest.raises(InvalidToken):
        verified(NODE.call("vps", CALL)[0], call)


def test_a_call_to_somebody_else_or_from_somebody_else_is_refused() -> None:
    for token in (
        NODE.call("node-2", CALL)[0],
        ServiceSigner("node-2", KEY).call("vps", CALL)[0],  # a known key under another name
        ServiceSigner("node-1", OTHER).call("vps", CALL)[0],
        VPS.call("node-1", CALL)[0],  # reflected
        NODE.answer("vps", "id", 200, CALL.body),
        tokens.sign_access(KEY, uuid4(), "sara", "admin", 60),
    ):
        with pytest.raises(InvalidToken):
            verified(token)
    with pytest.raises(InvalidToken):
        verify_access(NODE.call("toptank", CALL)[0], keys_by_id((KEY.public_key(),)))


def test_a_call_is_in_time_for_a_minute_give_or_take_the_leeway() -> None:
    call = verified(NODE.call("vps", CALL)[0])
    for now in (NOON - CLOCK_LEEWAY_S, NOON, NOON + LIFE_S + CLOCK_LEEWAY_S - 1):
        call.check_time(now)
    for now, said in ((NOON - CLOCK_LEEWAY_S - 1, "future"), (NOON + LIFE_S + CLOCK_LEEWAY_S, "expired")):
        with pytest.raises(NotInTime, match=said):
            call.check_time(now)


@pytest.mark.parametrize(
    "claims",
    [
        *({"exp": NOON + 3600}, {"exp": int(NOON) + 3600}, {"exp": None}, {"jti": None}, {"jti": ""}, {"jti": 7}),
        *({"iat": None}, {"body": None}, {"method": None}, {"target": None}, {"nbf": 0}, {"aud": ["vps"]}),
    ],
)
def test_a_call_that_claims_what_we_do_not_write_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidToken):
        verified(changed(NODE.call("vps", CALL)[0], **claims))


@pytest.mark.parametrize("header", [{"crit": ["x"], "x": 1}, {"jwk": {}}, {"typ": "JWT"}, {"typ": ANSWER_TYP}])
def test_a_call_with_an_odd_header_is_refused(header: dict[str, Any]) -> None:
    claims = jwt.decode(NODE.call("vps", CALL)[0], options={"verify_signature": False})
    usual = {"typ": CALL_TYP, "kid": public_jwk(KEY.public_key())["kid"]}
    with pytest.raises(InvalidToken):
        caller_key_id(jwt.encode(claims, KEY, algorithm="EdDSA", headers=usual | header))


def test_no_two_calls_have_the_same_token() -> None:
    assert len({NODE.call("vps", CALL)[1] for _ in range(100)}) == 100


# --- answers ------------------------------------------------------------------------------------------------

ANSWER = VPS.answer("node-1", "call-1", 200, b'{"allowed": false}')


def answered(token: str, *, token_id: str = "call-1", status: int = 200, body: bytes = b'{"allowed": false}') -> int:
    keys = keys_by_id((OTHER.public_key(),))
    return verify_answer(token, keys, caller="node-1", called="vps", token_id=token_id, status=status, body=body)


def test_an_answer_is_verified_and_says_when_it_was_given() -> None:
    assert answered(ANSWER) == NOON


def test_an_answer_is_good_whatever_the_time_here_because_it_answers_this_call() -> None:
    assert answered(ServiceSigner("vps", OTHER, lambda: 7.0).answer("node-1", "call-1", 200, b"x"), body=b"x") == 7


@pytest.mark.parametrize(
    "check",
    [
        lambda: answered(ANSWER, token_id="call-2"),
        lambda: answered(ANSWER, status=403),
        lambda: answered(ANSWER, body=b'{"allowed": true}'),
        lambda: answered(VPS.answer("node-2", "call-1", 200, b'{"allowed": false}')),
        lambda: answered(changed(ANSWER, OTHER, ANSWER_TYP, iss="node-1")),
        lambda: answered(changed(ANSWER, OTHER, CALL_TYP)),
        lambda: answered(VPS.call("node-1", CALL)[0]),
        lambda: answered("letmein"),
        lambda: answered(""),
    ],
)
def test_an_answer_that_was_altered_or_meant_otherwise_is_refused(check: Callable[[], int]) -> None:
    with pytest.raises(InvalidToken):
        check()


def test_an_answer_by_an_unknown_key_is_told_apart() -> None:
    with pytest.raises(UnknownKey):
        answered(ServiceSigner("vps", KEY).answer("node-1", "call-1", 200, b'{"allowed": false}'))


def test_while_the_key_is_replaced_answers_by_either_are_good() -> None:
    keys = keys_by_id((KEY.public_key(), OTHER.public_key()))
    for key in (KEY, OTHER):
        token = ServiceSigner("vps", key, lambda: NOON).answer("node-1", "call-1", 200, b"")
        assert verify_answer(token, keys, caller="node-1", called="vps", token_id="call-1", status=200, body=b"")
