"""Keys: free courses, what their holders see, and that a key is nothing to steal."""

import asyncio

import pytest

from tests.vps.people import (
    buy,
    done,
    make_admin,
    make_student,
    make_teacher,
    order,
    published_course,
    refused,
    store_video,
)
from tests.vps.running import Vps

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]


async def test_enrolling_in_a_free_course_gives_a_key_and_its_videos(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    video = await store_video(vps, course)
    answer = done(await student.post(f"{course.path}/enroll"), 201)
    assert answer["key"]["status"] == "active"
    newest = (await vps.row("SELECT last FROM change_counter"))["last"]
    assert [link["uri"] for link in answer["videos"]] == [f"http://node-1.test/videos/{video}/stream?after={newest}"]
    assert done(await student.get(f"{course.path}/key")) == answer
    assert done(await student.get("/api/keys"))["items"] == [answer["key"]]
    assert await vps.rows("SELECT 1 FROM payments") == []


async def test_one_enrols_once_in_free_courses_of_others(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    free, paid = await published_course(vps, teacher, 0), await published_course(vps, teacher, 100)
    refused(await student.post(f"{paid.path}/enroll"), 409, "course_not_free")
    refused(await teacher.post(f"{free.path}/enroll"), 409, "own_course")
    done(await student.post(f"{free.path}/enroll"), 201)
    refused(await student.post(f"{free.path}/enroll"), 409, "already_owned")
    refused(await order(student, free), 409, "already_owned")
    refused(await (await make_admin(vps, "other-admin")).post(f"{free.path}/enroll"), 403, "wrong_role")
    refused(await vps.http.post(f"{free.path}/enroll"), 401, "not_authenticated")


async def test_of_twenty_parallel_enrolments_one_gives_a_key(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    answers = await asyncio.gather(*(student.post(f"{course.path}/enroll") for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 19]
    assert len(await vps.rows("SELECT 1 FROM keys")) == 1


async def test_enrolling_while_the_course_is_deleted_never_leaves_a_live_key(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    students = [await make_student(vps, f"student{number}") for number in range(6)]
    course = await published_course(vps, teacher, 0)
    *answers, deleted = await asyncio.gather(
        *(student.post(f"{course.path}/enroll") for student in students), teacher.delete(course.path)
    )
    assert deleted.status_code == 204
    assert {answer.status_code for answer in answers} <= {201, 404}
    assert await vps.rows("SELECT 1 FROM keys WHERE status = 'active'") == []


async def test_the_key_of_one_course_opens_no_other(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    bought, other = await published_course(vps, teacher), await published_course(vps, teacher)
    await buy(student, bought)
    done(await student.get(f"{bought.path}/key"))
    refused(await student.get(f"{other.path}/key"), 404, "key_not_found")
    lessons = done(await student.get(other.path))["sections"][0]["lessons"]
    assert [lesson["can_open"] for lesson in lessons] == [False]


async def test_a_key_is_seen_by_its_holder_only(vps: Vps) -> None:
    teacher, student, other = await make_teacher(vps), await make_student(vps), await make_student(vps, "ali")
    course = await published_course(vps, teacher)
    key = (await buy(student, course))["key"]
    for person in (teacher, other, await make_admin(vps, "other-admin")):
        assert done(await person.get("/api/keys"))["items"] == []
        refused(await person.get(f"{course.path}/key"), 404, "key_not_found")
        seen = [await person.get(path) for path in ("/api/courses", course.path, "/api/auth/me", "/api/payments")]
        assert not any(key["id"] in answer.text for answer in seen)


async def test_a_key_holds_no_secret(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    bought = await buy(student, await published_course(vps, teacher))
    assert set(bought["key"]) == {"id", "course", "status", "created_at"}
    columns = await vps.rows("SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'keys'")
    assert {column["name"] for column in columns} == {
        *("id", "user_id", "course_id", "payment_id", "status", "created_at")
    }
    response = await vps.http.get("/api/auth/me", headers={"Authorization": f"Bearer {bought['key']['id']}"})
    refused(response, 401, "not_authenticated")


async def test_a_key_lists_only_videos_that_are_stored(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher)
    assert (await buy(student, course))["videos"] == []
    await store_video(vps, course)
    assert len(done(await student.get(f"{course.path}/key"))["videos"]) == 1


async def test_keys_come_in_pages_newest_first(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    made = []
    for _ in range(3):
        course = await published_course(vps, teacher, 0)
        made.append(done(await student.post(f"{course.path}/enroll"), 201)["key"]["id"])
    first = done(await student.get("/api/keys?limit=2"))
    rest = done(await student.get(f"/api/keys?limit=2&cursor={first['next']}"))
    assert [item["id"] for item in first["items"] + rest["items"]] == made[::-1]
