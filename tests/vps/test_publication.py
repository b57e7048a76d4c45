"""Courses that leave the shop and come back, lessons that become previews: who is told, and who goes on watching."""

import asyncio
from typing import Any

import pytest

from tests.vps.people import (
    Course,
    Person,
    announced,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    order,
    published_course,
    refused,
    sign_in,
    store_video,
    submitted_course,
)
from tests.vps.running import Vps

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]

ABOUT_COURSES = ("course_published", "course_unpublished")


async def leave_the_shop(vps: Vps, course: Course, by: str) -> Any:
    if by == "teacher":
        return await course.teacher.post(f"{course.path}/archive")
    return await (await sign_in(vps, "root-admin")).post(f"/api/admin/courses/{course.id}/unpublish")


async def test_approving_is_announced_and_only_once(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    course, other = await submitted_course(teacher), await submitted_course(teacher)
    answers = await asyncio.gather(*(admin.post(f"/api/admin/courses/{course.id}/approve") for _ in range(10)))
    assert sorted(answer.status_code for answer in answers) == [200, *[409] * 9]
    done(await admin.post(f"/api/admin/courses/{other.id}/reject", {"reason": "no"}))
    assert await announced(vps) == [{"kind": "course_published", "course_id": course.id}]


@pytest.mark.parametrize("by", ["teacher", "admin"])
async def test_a_course_leaves_the_shop_and_its_buyers_go_on_watching(vps: Vps, by: str) -> None:
    teacher, buyer, other = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    course = await published_course(vps, teacher)
    await store_video(vps, course)
    await buy(buyer, course)
    for _ in range(2):
        assert done(await leave_the_shop(vps, course, by))["status"] == "archived"
    refused(await other.get(course.path), 404, "course_not_found")
    refused(await order(other, course), 404, "course_not_found")
    assert done(await vps.http.get("/api/courses"))["items"] == []
    assert done(await buyer.get(f"{course.path}/key"))["key"]["status"] == "active"
    told = [{"kind": kind, "course_id": course.id} for kind in ABOUT_COURSES]
    assert await announced(vps, *ABOUT_COURSES) == told


async def test_an_archived_course_is_submitted_and_published_again(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)
    done(await teacher.post(f"{course.path}/archive"))
    assert done(await teacher.post(f"{course.path}/submit"))["status"] == "pending"
    refused(await teacher.post(f"{course.path}/archive"), 409, "wrong_status")
    admin = await sign_in(vps, "root-admin")
    assert done(await admin.post(f"/api/admin/courses/{course.id}/approve"))["status"] == "published"
    assert [change["kind"] for change in await announced(vps)] == [*ABOUT_COURSES, "course_published"]


async def test_only_a_published_course_leaves_the_shop(vps: Vps) -> None:
    teacher, other, admin = await make_teacher(vps), await make_teacher(vps, "huda"), await make_admin(vps)
    draft, submitted = await draft_course(teacher), await submitted_course(teacher)
    for course in (draft, submitted):
        refused(await leave_the_shop(vps, course, "teacher"), 409, "wrong_status")
        refused(await leave_the_shop(vps, course, "admin"), 409, "wrong_status")
        refused(await other.post(f"{course.path}/archive"), 404, "course_not_found")
        refused(await admin.post(f"{course.path}/archive"), 403, "wrong_role")
    await teacher.delete(draft.path)
    refused(await leave_the_shop(vps, draft, "teacher"), 404, "course_not_found")
    refused(await leave_the_shop(vps, draft, "admin"), 404, "course_not_found")
    assert await announced(vps, *ABOUT_COURSES) == []


async def test_twenty_who_archive_at_once_are_one(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)
    by = ["teacher", "admin"] * 10
    answers = await asyncio.gather(*(leave_the_shop(vps, course, who) for who in by))
    assert {done(answer)["status"] for answer in answers} == {"archived"}
    assert len(await announced(vps, "course_unpublished")) == 1


# --- lessons ------------------------------------------------------------------------------------------------


async def change(person: Person, course: Course, **patch: Any) -> Any:
    return await person.patch(f"/api/lessons/{course.lesson_id}", patch)


async def test_a_preview_that_comes_or_goes_is_announced_with_its_video(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    video = await store_video(vps, course)
    for number, preview in enumerate((True, True, False, False)):
        answer = done(await change(teacher, course, is_preview=preview, title=f"Lesson {number}"))
        assert (answer["id"], answer["is_preview"], answer["title"]) == (course.lesson_id, preview, f"Lesson {number}")
        lesson = done(await student.get(course.path))["sections"][0]["lessons"][0]
        assert (lesson["is_preview"], lesson["can_open"]) == (preview, preview)
    told = {"kind": "lesson_preview_changed", "course_id": course.id, "video_id": str(video)}
    assert await announced(vps, "lesson_preview_changed") == [told, told]


async def test_a_lesson_without_a_video_and_a_title_change_no_right(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course, filmed = await draft_course(teacher), await draft_course(teacher)
    await store_video(vps, filmed)
    done(await change(teacher, course, is_preview=True))
    assert done(await change(teacher, filmed, title="Other"))["is_preview"] is False
    assert done(await change(teacher, filmed))["title"] == "Other"
    assert await announced(vps) == []


async def test_a_lesson_is_changed_by_its_teacher_only(vps: Vps) -> None:
    teacher, other, admin = await make_teacher(vps), await make_teacher(vps, "huda"), await make_admin(vps)
    course = await draft_course(teacher)
    refused(await change(other, course, title="Mine"), 404, "lesson_not_found")
    for person in (await make_student(vps), admin):
        refused(await change(person, course, title="Mine"), 403, "wrong_role")
    refused(await vps.http.patch(f"/api/lessons/{course.lesson_id}", json={}), 401, "not_authenticated")
    refused(await teacher.patch("/api/lessons/019a0000-0000-7000-8000-000000000000", {}), 404, "lesson_not_found")
    await teacher.delete(course.path)
    refused(await change(teacher, course, title="Late"), 404, "lesson_not_found")


@pytest.mark.parametrize(
    "patch",
    [
        {"title": ""},
        {"title": None},
        {"is_preview": None},
        {"is_preview": "perhaps"},
        {"course_id": "x"},
        {"kind": "x"},
    ],
)
async def test_an_odd_change_of_a_lesson_is_refused(vps: Vps, patch: dict[str, Any]) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)
    refused(await change(teacher, course, **patch), 422, "validation_failed")
