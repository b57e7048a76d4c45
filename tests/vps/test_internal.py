"""What nodes ask: may this user watch, what may this teacher upload, may this be deleted?"""

from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel
from uuid_utils.compat import uuid7

from shared.contract import (
    ACCESS,
    ACCESS_KEYS,
    DELETIONS,
    JWKS,
    STANDING,
    UPLOAD_RIGHTS,
    AccessQuestion,
    DeletionQuestion,
    StandingQuestion,
    UploadQuestion,
)
from tests.vps.people import (
    Person,
    access,
    announced,
    buy,
    done,
    draft_course,
    make_student,
    make_teacher,
    published_course,
    refused,
    sign_in,
    store_video,
)
from tests.vps.running import Vps

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]


async def position(vps: Vps) -> dict[str, Any]:
    """Of the newest change, as an answer says it."""
    row = await vps.row("SELECT epoch, last FROM change_counter")
    return {"epoch": str(row["epoch"]), "number": row["last"]}


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
    question = AccessQuestion(user_id=teacher.id, generation=0, video_id=video)
    answer = done(await vps.node.post(ACCESS, question))
    assert (answer["course_id"], answer["teacher_username"]) == (course.id, "omar")
    assert answer["as_of"] == await position(vps)


async def test_a_preview_is_open_to_anybody_once_published(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    draft = await draft_course(teacher, preview=True)
    shown = await published_course(vps, teacher, preview=True)
    assert await access(vps, student, await store_video(vps, draft)) == (False, "video_not_found", None)
    assert await access(vps, student, await store_video(vps, shown)) == (True, "granted", "preview")


async def test_a_deleted_course_and_a_banned_user_watch_nothing(vps: Vps) -> None:
    teacher, buyer, banned = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    for person in (buyer, banned):
        await buy(person, course)
    admin = await sign_in(vps, "root-admin")
    done(await admin.post(f"/api/admin/users/{banned.id}/ban"))
    for generation in range(3):
        assert await access(vps, banned, video, generation) == (False, "signed_out", None)
    await teacher.delete(course.path)
    for person in (buyer, teacher, await sign_in(vps, "root-admin")):
        assert await access(vps, person, video) == (False, "video_not_found", None)


async def test_a_token_of_before_the_last_sign_out_opens_nothing(vps: Vps) -> None:
    teacher, buyer = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    await buy(buyer, course)
    done(await buyer.delete("/api/auth/sessions"), 204)
    assert await access(vps, buyer, video) == (False, "signed_out", None)
    assert await access(vps, buyer, video, generation=1) == (True, "granted", "key")
    assert await access(vps, buyer, video, generation=2) == (False, "signed_out", None)
    assert await access(vps, Person(vps.http, {"id": str(uuid7())}, "", ""), video) == (False, "signed_out", None)


# --- what may this teacher upload? -----------------------------------------------------------------------


@pytest.mark.settings(followers_required=0)
async def test_a_verified_teacher_uploads_into_an_empty_lesson_of_theirs_only(vps: Vps) -> None:
    teacher, other, student = await make_teacher(vps), await make_teacher(vps, "huda"), await make_student(vps)
    course = await draft_course(teacher)

    async def reason(person: Person, lesson: Any) -> str | None:
        question = UploadQuestion(user_id=person.id, generation=0, lesson_id=lesson)
        answer = done(await vps.node.post(UPLOAD_RIGHTS, question))
        assert answer["as_of"] == await position(vps)
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
    done(await teacher.delete("/api/auth/sessions"), 204)
    assert await reason(teacher, course.lesson_id) == "signed_out"


async def test_a_teachers_standing_is_told_and_nobody_else_has_one(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course, deleted = await draft_course(teacher), await draft_course(teacher)
    await teacher.delete(deleted.path)

    async def standing(user_id: UUID, generation: int = 0) -> Any:
        return done(await vps.node.post(STANDING, StandingQuestion(user_id=user_id, generation=generation)))

    told = {"username": "omar", "is_teacher": True, "verified": False, "followers": 0, "required": 15_000}
    told |= {"user_id": str(teacher.id), "signed_out": False, "courses": [course.id], "as_of": await position(vps)}
    assert await standing(teacher.id) == told
    nobody = {**told, "username": None, "is_teacher": False, "courses": []}
    assert await standing(student.id) == nobody | {"user_id": str(student.id)}
    done(await teacher.delete("/api/auth/sessions"), 204)
    for user_id in (teacher.id, uuid7()):
        answer = nobody | {"user_id": str(user_id), "signed_out": True, "as_of": await position(vps)}
        assert await standing(user_id) == answer


# --- deletions -----------------------------------------------------------------------------------------------


async def test_the_vps_agrees_to_what_the_teacher_may_delete_however_often_asked(vps: Vps) -> None:
    teacher, other, student = await make_teacher(vps), await make_teacher(vps, "huda"), await make_student(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)

    async def deletion(person: Person, generation: int = 0, **what: Any) -> tuple[bool, str | None]:
        question = DeletionQuestion(user_id=person.id, generation=generation, **what)
        answer = done(await vps.node.post(DELETIONS, question))
        assert answer["as_of"] == await position(vps)  # that of the deletion itself, when it is agreed to
        return answer["agreed"], answer["reason"]

    for what in ({"video_id": video}, {"course_id": course.id}):
        assert await deletion(student, **what) == (False, "forbidden")
        assert await deletion(await sign_in(vps, "root-admin"), **what) == (False, "forbidden")
        assert await deletion(other, **what) == (False, "not_found")
        for _ in range(2):
            assert await deletion(teacher, **what) == (True, None)
    assert await deletion(teacher, video_id=uuid7()) == (False, "not_found")
    assert await deletion(teacher, course_id=uuid7()) == (False, "not_found")
    assert [change["kind"] for change in await announced(vps)][-2:] == ["video_deleted", "course_deleted"]


async def test_who_was_signed_out_deletes_nothing(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    done(await teacher.delete("/api/auth/sessions"), 204)
    before = await announced(vps)
    for what in ({"video_id": video}, {"course_id": UUID(course.id)}):
        question = DeletionQuestion(user_id=teacher.id, generation=0, **what)
        answer = done(await vps.node.post(DELETIONS, question))
        assert (answer["agreed"], answer["reason"]) == (False, "signed_out")
    assert await announced(vps) == before
    assert done(await vps.http.get(course.path))["id"] == course.id


async def test_a_deletion_names_exactly_one_thing(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)

    class Unchecked(BaseModel):
        user_id: UUID
        generation: int = 0
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
    question = DeletionQuestion(user_id=teacher.id, generation=0, video_id=first)
    assert done(await vps.node.post(DELETIONS, question))["agreed"] is True
    assert await access(vps, teacher, first) == (False, "video_not_found", None)
    second = await store_video(vps, course)
    assert await access(vps, teacher, second) == (True, "granted", "owner")


# --- and besides ---------------------------------------------------------------------------------------------


async def test_the_keys_of_access_tokens_are_those_that_everybody_sees_but_signed(vps: Vps) -> None:
    assert done(await vps.node.get(ACCESS_KEYS)) == done(await vps.http.get(JWKS))


async def test_unknown_fields_between_the_services_are_refused_too(vps: Vps) -> None:
    class Odd(AccessQuestion):
        role: str = "admin"

    question = Odd(user_id=uuid7(), generation=0, video_id=uuid7())
    refused(await vps.node.post(ACCESS, question), 422, "validation_failed")
