"""What nodes ask and tell; who is believed to be a node."""

import asyncio
import time
from typing import Any
from uuid import UUID

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from shared.contract import (
    ACCESS,
    CHANGES,
    DELETIONS,
    EVENTS,
    UPLOAD_RIGHTS,
    VPS,
    AccessQuestion,
    DeletionQuestion,
    UploadQuestion,
)
from shared.tokens import ServiceSigner, public_jwk
from tests.vps.people import (
    Person,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    published_course,
    refused,
    sign_in,
    store_video,
    video_stored,
)
from tests.vps.running import Vps

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]


async def ask(vps: Vps, path: str, question: BaseModel) -> Any:
    answer = done(await vps.node.post(path, question))
    answer.pop("version", None)
    return answer


async def access(vps: Vps, person: Person, video: Any) -> tuple[bool, str, str | None]:
    answer = await ask(vps, ACCESS, AccessQuestion(user_id=person.id, video_id=video))
    return answer["allowed"], answer["reason"], answer["via"]


# --- may this user watch? -------------------------------------------------------------------------------


async def test_a_key_opens_a_video_and_everything_else_does_not(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    buyer, stranger = await make_student(vps), await make_student(vps, "ali")
    course, another = await published_course(vps, teacher), await published_course(vps, other)
    video, elsewhere = await store_video(vps, course), await store_video(vps, another)
    await buy(buyer, course)
    admin = await sign_in(vps, "root-admin")
    assert await access(vps, buyer, video) == (True, "granted", "key")
    assert await access(vps, buyer, elsewhere) == (False, "key_required", None)
    assert await access(vps, teacher, video) == (True, "granted", "owner")
    assert await access(vps, other, video) == (False, "key_required", None)
    assert await access(vps, stranger, video) == (False, "key_required", None)
    assert await access(vps, admin, video) == (True, "granted", "review")
    assert await access(vps, buyer, uuid7()) == (False, "video_not_found", None)


async def test_an_answer_names_course_and_teacher_for_the_nodes_memory(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    answer = done(await vps.node.post(ACCESS, AccessQuestion(user_id=teacher.id, video_id=video)))
    head = (await vps.row("SELECT last FROM change_counter"))["last"]
    assert (answer["course_id"], answer["teacher_username"], answer["version"]) == (course.id, "omar", head)


async def test_a_preview_is_open_to_anybody_once_published(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    draft = await draft_course(teacher, preview=True)
    shown = await published_course(vps, teacher, preview=True)
    assert await access(vps, student, await store_video(vps, draft)) == (False, "key_required", None)
    assert await access(vps, student, await store_video(vps, shown)) == (True, "granted", "preview")


async def test_a_deleted_course_and_a_banned_user_watch_nothing(vps: Vps) -> None:
    teacher, buyer, banned = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    for person in (buyer, banned):
        await buy(person, course)
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=banned.id)
    assert await access(vps, banned, video) == (False, "user_inactive", None)
    await teacher.delete(course.path)
    for person in (buyer, teacher, await sign_in(vps, "root-admin")):
        assert await access(vps, person, video) == (False, "video_not_found", None)


# --- what may this teacher upload? -----------------------------------------------------------------------


@pytest.mark.settings(followers_required=0)
async def test_a_verified_teacher_uploads_into_an_empty_lesson_of_theirs_only(vps: Vps) -> None:
    teacher, other, student = await make_teacher(vps), await make_teacher(vps, "huda"), await make_student(vps)
    course = await draft_course(teacher)

    async def reason(person: Person, lesson: Any) -> str | None:
        answer = await ask(vps, UPLOAD_RIGHTS, UploadQuestion(user_id=person.id, lesson_id=lesson))
        assert answer["allowed"] is (answer["reason"] is None)
        found: str | None = answer["reason"]
        return found

    assert await reason(teacher, course.lesson_id) == "not_enough_followers"
    await vps.rows("UPDATE teachers SET verified_at = now()")
    assert await reason(teacher, course.lesson_id) is None
    assert await reason(other, course.lesson_id) == "lesson_not_found"
    assert await reason(student, course.lesson_id) == "not_a_teacher"
    assert await reason(teacher, uuid7()) == "lesson_not_found"
    await store_video(vps, course)
    assert await reason(teacher, course.lesson_id) == "lesson_has_video"
    await teacher.delete(course.path)
    assert await reason(teacher, course.lesson_id) == "lesson_not_found"


async def test_a_teachers_standing_is_told_and_nobody_else_has_one(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course, deleted = await draft_course(teacher), await draft_course(teacher)
    await teacher.delete(deleted.path)
    answer = done(await vps.node.get(f"/internal/teachers/{teacher.id}"))
    assert {name: answer[name] for name in ("username", "is_teacher", "verified", "followers", "required")} == {
        **{"username": "omar", "is_teacher": True, "verified": False, "followers": 0, "required": 15_000}
    }
    assert answer["courses"] == [course.id]
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=teacher.id)
    for user_id in (teacher.id, student.id, uuid7()):
        assert done(await vps.node.get(f"/internal/teachers/{user_id}"))["is_teacher"] is False


# --- deletions -----------------------------------------------------------------------------------------------


async def test_the_vps_agrees_to_what_the_teacher_may_delete_however_often_asked(vps: Vps) -> None:
    teacher, other, student = await make_teacher(vps), await make_teacher(vps, "huda"), await make_student(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)

    async def deletion(person: Person, **what: Any) -> tuple[bool, str | None]:
        answer = await ask(vps, DELETIONS, DeletionQuestion(user_id=person.id, **what))
        return answer["agreed"], answer["reason"]

    for what in ({"video_id": video}, {"course_id": course.id}):
        assert await deletion(student, **what) == (False, "forbidden")
        assert await deletion(await sign_in(vps, "root-admin"), **what) == (False, "forbidden")
        assert await deletion(other, **what) == (False, "not_found")
        for _ in range(2):
            assert await deletion(teacher, **what) == (True, None)
    assert await deletion(teacher, video_id=uuid7()) == (False, "not_found")
    assert await deletion(teacher, course_id=uuid7()) == (False, "not_found")
    kinds = [row["kind"] for row in await vps.rows("SELECT kind FROM changes ORDER BY number")]
    assert kinds == ["video_deleted", "course_deleted"]


async def test_a_deletion_names_exactly_one_thing(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)

    class Unchecked(BaseModel):
        user_id: UUID
        video_id: UUID | None = None
        course_id: UUID | None = None

    both = Unchecked(user_id=teacher.id, video_id=uuid7(), course_id=UUID(course.id))
    for question in (Unchecked(user_id=teacher.id), both):
        refused(await vps.node.post(DELETIONS, question), 422, "validation_failed")
    assert done(await teacher.get(course.path))["id"] == course.id


async def test_a_lesson_whose_video_was_deleted_takes_another(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    first = await store_video(vps, course)
    await ask(vps, DELETIONS, DeletionQuestion(user_id=teacher.id, video_id=first))
    assert await access(vps, teacher, first) == (False, "video_not_found", None)
    second = await store_video(vps, course)
    assert await access(vps, teacher, second) == (True, "granted", "owner")


# --- events ----------------------------------------------------------------------------------------------------


async def test_an_event_is_applied_once_however_often_it_is_sent(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    event = video_stored(course)
    answers = await asyncio.gather(*(vps.node.post(EVENTS, event) for _ in range(20)))
    assert [done(answer) for answer in answers] == [{"applied": True, "reason": None}] * 20
    stored = await vps.row("SELECT * FROM videos")
    assert (stored["id"], stored["node_id"], stored["size"]) == (event.about.video_id, "node-1", 1_000_000)


async def test_of_two_videos_for_one_lesson_the_second_is_refused_for_good(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    events = [video_stored(course) for _ in range(10)]
    answers = await asyncio.gather(*(vps.node.post(EVENTS, event) for event in events))
    reasons = [done(answer)["reason"] for answer in answers]
    assert sorted(map(str, reasons)) == ["None", *["lesson_has_video"] * 9]
    (kept,) = await vps.rows("SELECT id FROM videos")
    await ask(vps, DELETIONS, DeletionQuestion(user_id=teacher.id, video_id=kept["id"]))
    again = [done(await vps.node.post(EVENTS, event))["reason"] for event in events]
    assert again == reasons


async def test_an_event_about_a_lesson_that_is_gone_or_foreign_is_refused(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    course, foreign, deleted = await draft_course(teacher), await draft_course(other), await draft_course(teacher)
    await teacher.delete(deleted.path)
    for event in (
        video_stored(course, lesson_id=uuid7()),
        video_stored(course, course_id=uuid7()),
        video_stored(course, course_id=foreign.id),
        video_stored(course, lesson_id=foreign.lesson_id),
        video_stored(foreign, owner_id=teacher.id),
        video_stored(deleted),
    ):
        for _ in range(2):
            assert done(await vps.node.post(EVENTS, event)) == {"applied": False, "reason": "lesson_not_found"}
    assert await vps.rows("SELECT 1 FROM videos") == []


# --- who is a node? -----------------------------------------------------------------------------------------------


def forged(vps: Vps, claims: dict[str, Any], **header: Any) -> str:
    """Signed with the node's own key, but saying what the node would not."""
    key = vps.node.signer._key
    kid = public_jwk(key.public_key())["kid"]
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"typ": "service+jwt", "kid": kid, **header})


async def test_a_call_is_believed_only_as_it_was_signed(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    question = DeletionQuestion.model_validate({"user_id": teacher.id, "course_id": course.id})
    body = question.model_dump_json().encode()
    sign = vps.node.signer.token
    stranger = ServiceSigner("node-1", Ed25519PrivateKey.generate())
    good: dict[str, Any] = jwt.decode(sign(VPS, "POST", DELETIONS, body), options={"verify_signature": False})
    now = int(time.time())
    tokens = {
        "unsigned": "",
        "garbage": "letmein",
        "a person's": teacher.access_token,
        "of a foreign key": stranger.token(VPS, "POST", DELETIONS, body),
        "reflected: the VPS's own": ServiceSigner(VPS, vps.settings.vps_key).token(VPS, "POST", DELETIONS, body),
        "reflected: for the node": ServiceSigner(VPS, vps.settings.vps_key).token("node-1", "POST", DELETIONS, body),
        "for another service": sign("node-2", "POST", DELETIONS, body),
        "of another name": ServiceSigner("node-2", vps.node.signer._key).token(VPS, "POST", DELETIONS, body),
        "for another method": sign(VPS, "PUT", DELETIONS, body),
        "for another path": sign(VPS, "POST", EVENTS, body),
        "for another query": sign(VPS, "POST", f"{DELETIONS}?x=1", body),
        "for another body": sign(VPS, "POST", DELETIONS, body.replace(b"course_id", b"video_id")),
        "for no body": sign(VPS, "POST", DELETIONS, b""),
        "old": forged(vps, good | {"jti": "a", "iat": now - 200, "exp": now - 140}),
        "long-lived": forged(vps, good | {"jti": "b", "iat": now, "exp": now + 3600}),
        "from the future": forged(vps, good | {"jti": "c", "iat": now + 600, "exp": now + 660}),
        "without an id": forged(vps, {name: good[name] for name in good if name != "jti"}),
        "without an end": forged(vps, {name: good[name] for name in good if name != "exp"} | {"jti": "d"}),
        "of another kind": forged(vps, good | {"jti": "e"}, typ="at+jwt"),
        "with crit": forged(vps, good | {"jti": "f"}, crit=["x"], x=1),
    }
    for kind, token in tokens.items():
        response = await vps.node.send(token, "POST", DELETIONS, body)
        assert response.status_code == 401, (kind, response.text)
        refused(response, 401, "not_authenticated")
    assert done(await teacher.get(course.path))["id"] == course.id
    done(await vps.node.send(forged(vps, good | {"jti": "g"}), "POST", DELETIONS, body))  # the forger can be good


async def test_a_token_is_good_for_one_call(vps: Vps) -> None:
    token = vps.node.signer.token(VPS, "GET", CHANGES, b"")
    answers = await asyncio.gather(*(vps.node.send(token, "GET", CHANGES) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200, *[401] * 19]


async def test_a_query_is_signed_too(vps: Vps) -> None:
    target = f"{CHANGES}?after=0&wait_s=0"
    done(await vps.node.get(target))
    token = vps.node.signer.token(VPS, "GET", target, b"")
    refused(await vps.node.send(token, "GET", f"{CHANGES}?after=1&wait_s=0"), 401, "not_authenticated")


async def test_nobody_but_a_node_gets_behind_internal(vps: Vps) -> None:
    people = [await make_student(vps), await make_teacher(vps), await make_admin(vps)]
    for person in people:
        for path in (ACCESS, DELETIONS, EVENTS, UPLOAD_RIGHTS):
            refused(await person.post(path, {}), 401, "not_authenticated")
        refused(await person.get(CHANGES), 401, "not_authenticated")


async def test_unknown_fields_between_the_services_are_refused_too(vps: Vps) -> None:
    class Odd(AccessQuestion):
        role: str = "admin"

    refused(await vps.node.post(ACCESS, Odd(user_id=uuid7(), video_id=uuid7())), 422, "validation_failed")
