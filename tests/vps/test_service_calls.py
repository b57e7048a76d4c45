"""Who is believed to be a node, and that a node can believe what it is answered (abuse cases 2, 4, 54)."""

import asyncio
import logging
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text

from shared.contract import ACCESS, CHANGES, DELETIONS, EVENTS, REPORTS, UPLOAD_RIGHTS, VPS, DeletionQuestion
from shared.service_tokens import ANSWER_HEADER, Call, ServiceSigner
from shared.tokens import InvalidToken, public_jwk
from tests.vps.nodes import admit, another_node, node_with
from tests.vps.people import Person, done, draft_course, make_admin, make_student, make_teacher, refused
from tests.vps.running import NODE, Node, Vps, node_report, running
from vps_service.nodes.actions import shut_out_node

pytestmark = pytest.mark.anyio


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def forged(node: Node, claims: dict[str, Any], **header: Any) -> str:
    """Signed with the node's own key, but saying what the node would not."""
    kid = public_jwk(node.key.public_key())["kid"]
    return jwt.encode(claims, node.key, algorithm="EdDSA", headers={"typ": "service+jwt", "kid": kid, **header})


def signed_at(node: Node, shift_s: float) -> ServiceSigner:
    """The node, where its clock is wrong."""
    return ServiceSigner(node.name, node.key, lambda: time.time() + shift_s)


async def counted(vps: Vps, metric: str) -> float:
    """A figure of `GET /metrics`, 0 when it was never counted."""
    lines = (await vps.http.get("/metrics")).text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{metric} ")), 0.0)


def refusals(reason: str) -> str:
    return f'toptank_service_calls_refused_total{{reason="{reason}"}}'


@pytest.fixture
async def teacher(vps: Vps) -> Person:
    return await make_teacher(vps)


async def test_a_call_is_believed_only_as_it_was_signed(vps: Vps, teacher: Person) -> None:
    course = await draft_course(teacher)
    question = DeletionQuestion.model_validate({"user_id": teacher.id, "generation": 0, "course_id": course.id})
    body, node = question.model_dump_json().encode(), vps.node
    call = Call("POST", DELETIONS, body)
    good, now = claims_of(node.token("POST", DELETIONS, body)), int(time.time())
    myself = ServiceSigner(VPS, vps.settings.vps_key)
    tokens = {
        "unsigned": "",
        "garbage": "letmein",
        "a person's": teacher.access_token,
        "without a signature": jwt.encode(good, "", algorithm="none", headers={"typ": "service+jwt", "kid": "x"}),
        "of a foreign key": ServiceSigner(NODE, Ed25519PrivateKey.generate()).call(VPS, call)[0],
        "of a foreign key that claims to be known": forged(node, good)[:-20] + "A" * 20,
        "reflected: the VPS's own": myself.call(VPS, call)[0],
        "reflected: for the node": myself.call(NODE, call)[0],
        "an answer's": node.signer.answer(VPS, "id", 200, body),
        "for another service": node.signer.call("node-2", call)[0],
        "of another name": ServiceSigner("node-2", node.key).call(VPS, call)[0],
        "of no name": forged(node, good | {"iss": "", "jti": "0"}),
        "for another method": node.token("PUT", DELETIONS, body),
        "for another path": node.token("POST", EVENTS, body),
        "for another query": node.token("POST", f"{DELETIONS}?x=1", body),
        "for another body": node.token("POST", DELETIONS, body.replace(b"course_id", b"video_id")),
        "for no body": node.token("POST", DELETIONS, b""),
        "old": signed_at(node, -75).call(VPS, call)[0],
        "from the future": signed_at(node, 75).call(VPS, call)[0],
        "long-lived": forged(node, good | {"jti": "b", "iat": now, "exp": now + 3600}),
        "without an id": forged(node, {name: good[name] for name in good if name != "jti"}),
        "without an end": forged(node, {name: good[name] for name in good if name != "exp"} | {"jti": "d"}),
        "of another kind": forged(node, good | {"jti": "e"}, typ="at+jwt"),
        "with crit": forged(node, good | {"jti": "f"}, crit=["x"], x=1),
        "with a key in it": forged(node, good | {"jti": "h"}, jwk=public_jwk(node.key.public_key())),
        "with a key by address": forged(node, good | {"jti": "i"}, jku="http://127.0.0.1/jwks.json"),
        "with a key's id from a path": forged(node, good | {"jti": "j"}, kid="../../node_key"),
        "with a NUL in the key's id": forged(node, good | {"jti": "k"}, kid="\0"),
        "with half a letter in the key's id": forged(node, good | {"jti": "l"}, kid="\ud800"),
        "dots": "..",
    }
    for kind, token in tokens.items():
        response = await node.send(token, "POST", DELETIONS, body)
        assert response.status_code == 401, (kind, response.text)
        refused(response, 401, "not_authenticated")
    assert done(await teacher.get(course.path))["id"] == course.id
    done(await node.send(forged(node, good | {"jti": "g"}), "POST", DELETIONS, body))  # the forger can be good


@pytest.mark.parametrize("alteration", ["method", "path", "query", "more query", "no query", "body"])
async def test_a_good_token_carries_no_other_call(vps: Vps, alteration: str) -> None:
    target, content = f"{CHANGES}?wait_s=0", b""
    token = vps.node.token("GET", target)
    calls = {
        "method": ("POST", target, content),
        "path": ("GET", "/internal/access-keys?wait_s=0", content),
        "query": ("GET", f"{CHANGES}?wait_s=1", content),
        "more query": ("GET", f"{target}&after=0", content),
        "no query": ("GET", CHANGES, content),
        "body": ("GET", target, b"{}"),
    }
    answer = await vps.node.send(token, *calls[alteration])
    assert answer.status_code == (405 if alteration == "method" else 401)
    assert ANSWER_HEADER not in answer.headers
    done(await vps.node.send(token, "GET", target))  # what was refused has spent nothing


async def test_a_token_is_good_for_one_call_in_all_processes_together(vps: Vps) -> None:
    token = vps.node.token("GET", CHANGES)
    async with running(vps.settings, vps.secrets) as other:
        calls = [node.send(token, "GET", CHANGES) for node in (vps.node, other.node) * 10]
        answers = await asyncio.gather(*calls)
        assert sorted(answer.status_code for answer in answers) == [200, *[401] * 19]
        spent = vps.node.token("GET", CHANGES)
        done(await vps.node.send(spent, "GET", CHANGES))
        refused(await other.node.send(spent, "GET", CHANGES), 401, "not_authenticated")


@pytest.mark.parametrize("shift_s", [-75.0, 75.0, -(10**9), 10**9])
async def test_a_wrong_clock_is_counted_said_in_the_log_and_told_the_right_time(
    vps: Vps, shift_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    before, others = await counted(vps, refusals("clock")), await counted(vps, refusals("token"))
    token, token_id = signed_at(vps.node, shift_s).call(VPS, Call("GET", CHANGES, b""))
    with caplog.at_level(logging.WARNING):
        answer = await vps.node.send(token, "GET", CHANGES)
    refused(answer, 401, "not_authenticated")
    assert vps.node.check(answer, token_id) == pytest.approx(time.time(), abs=60)
    assert await counted(vps, refusals("clock")) == before + 1
    assert await counted(vps, refusals("token")) == others
    (said,) = [record for record in caplog.records if record.getMessage() == "service call refused"]
    assert ("expired" if shift_s < 0 else "in the future") in vars(said)["reason"]


async def test_a_clock_within_the_leeway_is_right_enough(vps: Vps) -> None:
    for shift_s in (-50, 8):
        token, _ = signed_at(vps.node, shift_s).call(VPS, Call("GET", CHANGES, b""))
        done(await vps.node.send(token, "GET", CHANGES))


async def test_a_forged_call_is_counted_apart_from_a_wrong_clock_and_learns_nothing(vps: Vps) -> None:
    before, clocks = await counted(vps, refusals("token")), await counted(vps, refusals("clock"))
    late = ServiceSigner(NODE, Ed25519PrivateKey.generate(), lambda: 0.0)
    answer = await vps.node.send(late.call(VPS, Call("GET", CHANGES, b""))[0], "GET", CHANGES)
    refused(answer, 401, "not_authenticated")
    assert ANSWER_HEADER not in answer.headers
    assert (await counted(vps, refusals("token")), await counted(vps, refusals("clock"))) == (before + 1, clocks)


async def test_nobody_but_a_node_gets_behind_internal(vps: Vps, teacher: Person) -> None:
    for person in (teacher, await make_student(vps), await make_admin(vps)):
        for path in (ACCESS, DELETIONS, EVENTS, UPLOAD_RIGHTS, REPORTS):
            refused(await person.post(path, {}), 401, "not_authenticated")
        refused(await person.get(CHANGES), 401, "not_authenticated")


# --- keys come and go ---------------------------------------------------------------------------------------


async def test_a_key_is_replaced_with_both_live_for_a_while(vps: Vps) -> None:
    old, new = vps.node, node_with(vps, NODE, Ed25519PrivateKey.generate())
    refused(await new.send(new.token("GET", CHANGES), "GET", CHANGES), 401, "not_authenticated")
    await admit(vps, NODE, old.key, new.key)
    for node in (old, new):
        done(await node.get(CHANGES))
    await admit(vps, NODE, new.key)
    done(await new.get(CHANGES))
    refused(await old.send(old.token("GET", CHANGES), "GET", CHANGES), 401, "not_authenticated")


async def test_a_node_that_was_removed_is_nobody_until_it_is_admitted_again(vps: Vps) -> None:
    node = await another_node(vps, "node-2")
    async with vps.sessions() as session, session.begin():
        await shut_out_node(session, "node-2")
    refused(await node.send(node.token("GET", CHANGES), "GET", CHANGES), 401, "not_authenticated")
    done(await vps.node.get(CHANGES))
    await admit(vps, "node-2", node.key)
    done(await node.get(CHANGES))


async def test_a_node_speaks_for_itself_only(vps: Vps) -> None:
    other = await another_node(vps, "node-2")
    liar = node_with(vps, NODE, other.key)
    before = await vps.row("SELECT url FROM nodes WHERE id = :id", id=NODE)
    body = node_report(url="http://evil.test").model_dump_json().encode()
    answer = await liar.send(liar.token("POST", REPORTS, body), "POST", REPORTS, body)
    refused(answer, 401, "not_authenticated")
    assert ANSWER_HEADER not in answer.headers
    assert await vps.row("SELECT url FROM nodes WHERE id = :id", id=NODE) == before


# --- answers ------------------------------------------------------------------------------------------------


async def test_every_answer_to_a_node_is_signed_refusals_too(vps: Vps) -> None:
    """`Node.call` checks it each time."""
    done(await vps.node.get(CHANGES))
    refused(await vps.node.get(f"{CHANGES}?after=x"), 422, "validation_failed")
    refused(await vps.node.call("POST", ACCESS, b"[]"), 422, "validation_failed")
    refused(await vps.node.call("POST", EVENTS, b"{}"), 422, "validation_failed")


async def test_the_answer_to_an_unexpected_error_is_signed_too(vps: Vps) -> None:
    await vps.rows("ALTER TABLE change_counter RENAME TO gone")
    token, token_id = vps.node.signer.call(VPS, Call("GET", CHANGES, b""))
    answer = await vps.node.send(token, "GET", CHANGES)
    refused(answer, 500, "internal_error")
    vps.node.check(answer, token_id)


async def test_the_answer_when_the_database_is_locked_is_signed_too(vps: Vps) -> None:
    async with vps.sessions() as session, session.begin():
        await session.execute(text("LOCK TABLE change_counter IN ACCESS EXCLUSIVE MODE"))
        refused(await vps.node.get(CHANGES), 503, "database_unreachable")


async def test_an_answer_is_bound_to_its_call_its_status_and_its_body(vps: Vps) -> None:
    token, token_id = vps.node.signer.call(VPS, Call("GET", CHANGES, b""))
    answer = await vps.node.send(token, "GET", CHANGES)
    vps.node.check(answer, token_id)
    _, another = vps.node.signer.call(VPS, Call("GET", CHANGES, b""))
    with pytest.raises(InvalidToken):
        vps.node.check(answer, another)
    answer.status_code = 403
    with pytest.raises(InvalidToken):
        vps.node.check(answer, token_id)
    answer.status_code, answer._content = 200, answer.content.replace(b"true", b"false")
    with pytest.raises(InvalidToken):
        vps.node.check(answer, token_id)


async def test_an_answer_to_one_node_is_none_to_another(vps: Vps) -> None:
    other = await another_node(vps, "node-2")
    token, token_id = vps.node.signer.call(VPS, Call("GET", CHANGES, b""))
    answer = await vps.node.send(token, "GET", CHANGES)
    with pytest.raises(InvalidToken):
        other.check(answer, token_id)


async def test_answers_to_people_are_not_signed(vps: Vps, teacher: Person) -> None:
    for answer in (await teacher.get("/api/auth/me"), await teacher.get(CHANGES), await vps.http.get("/metrics")):
        assert ANSWER_HEADER not in answer.headers
