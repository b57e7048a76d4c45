"""Courses: drafting, review, what each viewer sees, and that nobody touches another teacher's."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from tests.vps.people import (
    Course,
    Person,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    price,
    published_course,
    refused,
    sign_in,
    store_video,
    submitted_course,
)
from tests.vps.running import Vps

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]

UNKNOWN = "019a0000-0000-7000-8000-000000000000"


async def test_a_course_goes_from_draft_to_published(vps: Vps) -> None:
    teacher, admin = await make_teacher(vps), await make_admin(vps)
    course = await draft_course(teacher)
    assert done(await teacher.get(course.path))["status"] == "draft"
    assert done(await teacher.post(f"{course.path}/submit"))["status"] == "pending"
    assert [item["id"] for item in done(await admin.get("/api/admin/courses"))["items"]] == [course.id]
    assert done(await admin.post(f"/api/admin/courses/{course.id}/approve"))["status"] == "published"
    shown = done(await vps.http.get(course.path))
    assert (shown["title"], shown["price"], shown["teacher"]) == (
        "The oud",
        {"amount": 10_000, "currency": "EGP"},
        {"username": "omar", "name": "Omar"},
    )
    assert [item["id"] for item in done(await vps.http.get("/api/courses"))["items"]] == [course.id]
    assert done(await admin.get("/api/admin/courses"))["items"] == []


async def test_a_rejected_course_says_why_and_can_be_submitted_again(vps: Vps) -> None:
    teacher, admin = await make_teacher(vps), await make_admin(vps)
    course = await submitted_course(teacher)
    answer = done(await admin.post(f"/api/admin/courses/{course.id}/reject", {"reason": "The sound is missing."}))
    assert (answer["status"], answer["rejection_reason"]) == ("rejected", "The sound is missing.")
    assert done(await teacher.get("/api/teacher/courses"))["items"][0]["rejection_reason"] == "The sound is missing."
    again = done(await teacher.post(f"{course.path}/submit"))
    assert (again["status"], again["rejection_reason"]) == ("pending", None)


async def test_each_step_fits_only_one_state(vps: Vps) -> None:
    teacher, admin = await make_teacher(vps), await make_admin(vps)
    course = await draft_course(teacher)
    approve, reject = (f"/api/admin/courses/{course.id}/{step}" for step in ("approve", "reject"))
    refused(await admin.post(approve), 409, "wrong_status")
    refused(await admin.post(reject, {"reason": "no"}), 409, "wrong_status")
    done(await teacher.post(f"{course.path}/submit"))
    refused(await teacher.post(f"{course.path}/submit"), 409, "wrong_status")
    done(await admin.post(approve))
    refused(await admin.post(approve), 409, "wrong_status")
    refused(await admin.post(reject, {"reason": "no"}), 409, "wrong_status")
    refused(await teacher.post(f"{course.path}/submit"), 409, "wrong_status")


async def test_approving_and_rejecting_at_once_has_one_outcome(vps: Vps) -> None:
    teacher, admin = await make_teacher(vps), await make_admin(vps)
    course = await submitted_course(teacher)
    path = f"/api/admin/courses/{course.id}"
    answers = await asyncio.gather(
        *(admin.post(f"{path}/approve") for _ in range(5)),
        *(admin.post(f"{path}/reject", {"reason": "no"}) for _ in range(5)),
    )
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 9]


async def test_an_empty_course_cannot_be_submitted(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = done(await teacher.post("/api/courses", {"title": "Empty", "price": price(0)}), 201)
    refused(await teacher.post(f"/api/courses/{course['id']}/submit"), 409, "nothing_to_publish")
    done(await teacher.post(f"/api/courses/{course['id']}/sections", {"title": "One"}), 201)
    refused(await teacher.post(f"/api/courses/{course['id']}/submit"), 409, "nothing_to_publish")


async def test_fields_that_a_patch_leaves_out_stay(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher, amount=5000)
    changed = done(await teacher.patch(course.path, {"description": "Strings and all"}))
    assert (changed["title"], changed["description"], changed["price"]["amount"]) == (
        "The oud",
        "Strings and all",
        5000,
    )
    assert done(await teacher.patch(course.path, {"price": price(0)}))["price"]["amount"] == 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"price": {"amount": 1}}, "body.price.currency"),
        ({"price": {"currency": "EGP"}}, "body.price.amount"),
        ({"price": {"amount": 1, "currency": "USD"}}, "body.price.currency"),
        ({"price": {"amount": 1, "currency": None}}, "body.price.currency"),
        ({"title": None}, "body"),
        ({"description": None}, "body"),
        ({"price": None, "title": "Another"}, "body"),
        ({"price_amount": 1}, "body.price_amount"),
        ({"title": "Another", "currency": "EGP"}, "body.currency"),
    ],
)
async def test_a_patch_is_taken_whole_or_not_at_all(vps: Vps, body: dict[str, Any], field: str) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher, amount=5000)
    problem = refused(await teacher.patch(course.path, body), 422, "validation_failed")
    assert problem["errors"][0]["field"] == field
    shown = done(await teacher.get(course.path))
    assert (shown["title"], shown["description"], shown["price"]) == ("The oud", "", price(5000))


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"title": "", "price": price(1)}, "body.title"),
        ({"title": "a" * 201, "price": price(1)}, "body.title"),
        ({"title": "a\0b", "price": price(1)}, "body.title"),
        ({"title": "a", "description": "a\0b", "price": price(1)}, "body.description"),
        ({"title": "a"}, "body.price"),
        ({"title": "a", "price": price(-1)}, "body.price.amount"),
        ({"title": "a", "price": price(10**12)}, "body.price.amount"),
        ({"title": "a", "price": {"amount": 1.5, "currency": "EGP"}}, "body.price.amount"),
        ({"title": "a", "price": {"amount": 1, "currency": "USD"}}, "body.price.currency"),
        ({"title": "a", "price": {"amount": 1, "currency": "egp"}}, "body.price.currency"),
        ({"title": "a", "price": price(1), "status": "published"}, "body.status"),
        ({"title": "a", "price": price(1), "teacher_id": UNKNOWN}, "body.teacher_id"),
        ({"title": "a", "price": {**price(1), "free": True}}, "body.price.free"),
    ],
)
async def test_a_draft_has_a_shape(vps: Vps, body: dict[str, Any], field: str) -> None:
    teacher = await make_teacher(vps)
    problem = refused(await teacher.post("/api/courses", body), 422, "validation_failed")
    assert problem["errors"][0]["field"] == field


async def test_a_patch_changes_neither_state_nor_owner(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    for field, value in (("status", "published"), ("teacher_id", UNKNOWN), ("deleted_at", None), ("id", UNKNOWN)):
        problem = refused(await teacher.patch(course.path, {field: value}), 422, "validation_failed")
        assert problem["errors"][0]["field"] == f"body.{field}"


async def test_sections_and_lessons_keep_their_order_however_they_come(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    await asyncio.gather(*(teacher.post(f"{course.path}/sections", {"title": f"S{n}"}) for n in range(10)))
    await asyncio.gather(
        *(teacher.post(f"/api/sections/{course.section_id}/lessons", {"title": f"L{n}"}) for n in range(10))
    )
    sections = done(await teacher.get(course.path))["sections"]
    assert [section["position"] for section in sections] == list(range(1, 12))
    assert [lesson["position"] for lesson in sections[0]["lessons"]] == list(range(1, 12))


# --- who sees what ------------------------------------------------------------------------------------


async def in_state(vps: Vps, teacher: Person, state: str) -> Course:
    """A course brought to that state by the API."""
    if state == "draft":
        return await draft_course(teacher)
    if state == "pending":
        return await submitted_course(teacher)
    if state == "rejected":
        course, admin = await submitted_course(teacher), await sign_in(vps, "root-admin")
        done(await admin.post(f"/api/admin/courses/{course.id}/reject", {"reason": "no"}))
        return course
    course = await published_course(vps, teacher)
    if state == "deleted":
        assert (await teacher.delete(course.path)).status_code == 204
    return course


HIDDEN = {"draft", "pending", "rejected", "deleted"}


@pytest.mark.parametrize("state", ["draft", "pending", "rejected", "published", "deleted"])
async def test_what_is_hidden_in_the_list_is_hidden_in_detail(vps: Vps, state: str) -> None:
    admin, teacher, other = await make_admin(vps), await make_teacher(vps), await make_teacher(vps, "huda")
    student, nobody = await make_student(vps), vps.http
    course = await in_state(vps, teacher, state)
    sees_detail = {
        **dict.fromkeys(("nobody", "student", "other"), state == "published"),
        **dict.fromkeys(("owner", "admin"), state != "deleted"),
    }
    people: dict[str, Any] = {"nobody": nobody, "student": student, "other": other, "owner": teacher, "admin": admin}
    for who, person in people.items():
        for query in ("", "?q=oud", "?teacher=omar"):
            items = done(await person.get(f"/api/courses{query}"))["items"]
            assert [item["id"] for item in items] == ([] if state in HIDDEN else [course.id]), (who, query)
        answer = await person.get(course.path)
        if sees_detail[who]:
            assert done(answer)["id"] == course.id
        else:
            refused(answer, 404, "course_not_found")
        if who in ("student", "other"):
            for action in ("enroll", "key"):
                method = "POST" if action == "enroll" else "GET"
                hidden = await person.send(method, f"{course.path}/{action}")
                assert hidden.status_code == (404 if state in HIDDEN or action == "key" else 409)
            bought = await person.post("/api/payments", {"course_id": course.id, "provider": "simulator"})
            assert bought.status_code == (404 if state in HIDDEN else 201)


async def test_a_lesson_says_whether_this_caller_may_open_it(vps: Vps) -> None:
    teacher, student, buyer = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    course = await published_course(vps, teacher, preview=True)
    paid = {"title": "For payers"}
    done(await teacher.post(f"/api/sections/{course.section_id}/lessons", paid), 201)
    video = await store_video(vps, course)
    await buy(buyer, course)

    async def opened(person: Any) -> list[bool]:
        lessons = done(await person.get(course.path))["sections"][0]["lessons"]
        assert [lesson["video_id"] for lesson in lessons] == [str(video) if lessons[0]["can_open"] else None, None]
        return [lesson["can_open"] for lesson in lessons]

    admin = await sign_in(vps, "root-admin")
    assert await opened(vps.http) == [False, False]
    assert await opened(student) == [True, False]
    for person in (buyer, teacher, admin):
        assert await opened(person) == [True, True]


Attempt = Callable[[Person, Course], Awaitable[Any]]
ATTEMPTS: dict[str, tuple[Attempt, str]] = {
    "change": (lambda person, course: person.patch(course.path, {"title": "Mine"}), "course_not_found"),
    "delete": (lambda person, course: person.delete(course.path), "course_not_found"),
    "submit": (lambda person, course: person.post(f"{course.path}/submit"), "course_not_found"),
    "section": (lambda person, course: person.post(f"{course.path}/sections", {"title": "x"}), "course_not_found"),
    "lesson": (
        lambda person, course: person.post(f"/api/sections/{course.section_id}/lessons", {"title": "x"}),
        "section_not_found",
    ),
}


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_another_teachers_course_is_not_there_to_be_changed(vps: Vps, attempt: str) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    ask, code = ATTEMPTS[attempt]
    for course in (await draft_course(teacher), await published_course(vps, teacher)):
        refused(await ask(other, course), 404, code)
    refused(await ask(other, Course(other, UNKNOWN, UNKNOWN, UNKNOWN)), 404, code)
    assert done(await teacher.get(course.path))["title"] == "The oud"


@pytest.mark.parametrize("attempt", ATTEMPTS)
async def test_only_teachers_make_courses(vps: Vps, attempt: str) -> None:
    teacher, student, admin = await make_teacher(vps), await make_student(vps), await make_admin(vps)
    course = await draft_course(teacher)
    for person in (student, admin):
        refused(await ATTEMPTS[attempt][0](person, course), 403, "wrong_role")
        refused(await person.post("/api/courses", {"title": "x", "price": price(0)}), 403, "wrong_role")
        refused(await person.get("/api/teacher/courses"), 403, "wrong_role")


async def test_only_admins_review(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await submitted_course(teacher)
    for person in (teacher, student):
        refused(await person.get("/api/admin/courses"), 403, "wrong_role")
        refused(await person.post(f"/api/admin/courses/{course.id}/approve"), 403, "wrong_role")
        refused(await person.post(f"/api/admin/courses/{course.id}/reject", {"reason": "no"}), 403, "wrong_role")
    refused(await vps.http.post(f"/api/admin/courses/{course.id}/approve"), 401, "not_authenticated")


@pytest.mark.parametrize("bad", ["1", "not-a-uuid", "019a0000-0000-7000-8000-00000000000g", "'; DROP TABLE users;--"])
async def test_an_id_that_is_no_uuid_is_refused(vps: Vps, bad: str) -> None:
    teacher = await make_teacher(vps)
    for method, path in (("GET", bad), ("PATCH", bad), ("POST", f"{bad}/submit"), ("GET", f"{bad}/key")):
        refused(await teacher.send(method, f"/api/courses/{path}", json={}), 422, "validation_failed")


# --- deleting -----------------------------------------------------------------------------------------------


async def test_a_deleted_course_is_gone_for_everyone_and_its_rows_stay(vps: Vps) -> None:
    teacher, buyer = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    key = (await buy(buyer, course))["key"]
    for _ in range(2):
        assert (await teacher.delete(course.path)).status_code == 204
    admin = await sign_in(vps, "root-admin")
    for person in (teacher, buyer, admin, vps.http):
        refused(await person.get(course.path), 404, "course_not_found")
    assert done(await teacher.get("/api/teacher/courses"))["items"] == []
    assert done(await teacher.get("/api/auth/me"))["courses"] == []
    assert [(item["id"], item["status"]) for item in done(await buyer.get("/api/keys"))["items"]] == [
        (key["id"], "void")
    ]
    refused(await buyer.get(f"{course.path}/key"), 404, "key_not_found")
    refused(await teacher.patch(course.path, {"title": "Back"}), 404, "course_not_found")
    refused(await teacher.post(f"{course.path}/submit"), 404, "course_not_found")
    assert len(await vps.rows("SELECT 1 FROM changes WHERE kind = 'course_deleted'")) == 1
    assert (await vps.row("SELECT deleted_at FROM courses"))["deleted_at"] is not None


# --- lists -----------------------------------------------------------------------------------------------------


async def test_a_list_comes_in_pages_newest_first_without_gap_or_repeat(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    made = [(await published_course(vps, teacher, title=f"Course {number}")).id for number in range(5)]
    readers: dict[str, Any] = {"/api/courses": vps.http, "/api/teacher/courses": teacher}
    for path, reader in readers.items():
        seen: list[str] = []
        cursor = ""
        while True:
            page = done(await reader.get(f"{path}?limit=2{cursor}"))
            seen += [item["id"] for item in page["items"]]
            if page["next"] is None:
                break
            cursor = f"&cursor={page['next']}"
        assert seen == made[::-1]


async def test_a_search_finds_words_of_title_and_description(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    oud = await published_course(vps, teacher, title="The oud in maqam Bayati")
    await published_course(vps, teacher, title="Piano")

    async def found(q: str) -> list[str]:
        return [item["id"] for item in done(await vps.http.get("/api/courses", params={"q": q}))["items"]]

    assert await found("bayati OUD") == [oud.id]
    assert await found("bayati piano") == []
    for odd in ("'", '"', "\\", "%", "a & | ! (", "'; DROP TABLE courses; --", "🎻", "-oud"):
        await found(odd)
    assert done(await vps.http.get("/api/courses?teacher=nobody"))["items"] == []


async def test_words_are_found_in_capitals_or_small_letters_of_every_alphabet(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    spelled = [
        await published_course(vps, teacher, 0, title=title) for title in ("ÉTUDE ŞAHİN ОРКЕСТР", "étude şahin оркестр")
    ]
    arabic = await published_course(vps, teacher, 0, title="العود للمبتدئين")
    for q in ("étude", "ÉTUDE", "Şahin", "ŞAHİN", "оркестр", "Оркестр şahin"):
        found = done(await vps.http.get("/api/courses", params={"q": q}))["items"]
        assert [course["id"] for course in found] == [course.id for course in reversed(spelled)], q
    (found,) = done(await vps.http.get("/api/courses", params={"q": "العود"}))["items"]
    assert found["id"] == arabic.id


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "cursor=x", "cursor=%00", "cursor=é", "q=a%00b"])
async def test_a_list_refuses_odd_questions(vps: Vps, query: str) -> None:
    refused(await vps.http.get(f"/api/courses?{query}"), 422, "validation_failed")


@pytest.mark.settings(drafts_per_user=3, changes_per_user=2)
async def test_a_teacher_adds_and_changes_so_much_in_an_hour(vps: Vps) -> None:
    teacher, other = await make_teacher(vps), await make_teacher(vps, "huda")
    course = await draft_course(teacher)  # with a section and a lesson
    more = {"title": "More"}
    draft = more | {"price": {"amount": 0, "currency": "EGP"}}
    lesson, section = f"/api/lessons/{course.lesson_id}", f"/api/sections/{course.section_id}"
    for path, body in (("/api/courses", draft), (f"{course.path}/sections", more), (f"{section}/lessons", more)):
        refused(await teacher.post(path, body), 429, "too_many_requests")
    done(await teacher.patch(course.path, more))
    done(await teacher.patch(lesson, more))
    for path in (course.path, lesson):
        refused(await teacher.patch(path, more), 429, "too_many_requests")
    refused(await teacher.post(f"{course.path}/submit"), 429, "too_many_requests")
    await draft_course(other)
