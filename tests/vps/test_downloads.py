"""Who may keep the original: whoever made it, admins of courses, and key holders where the teacher lets them."""

from typing import Any
from uuid import UUID

import pytest

from shared.contract import ACCESS, AccessQuestion
from tests.vps.people import (
    Course,
    Person,
    announced,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    practice_stored,
    published_course,
    refused,
    sign_in,
    store_video,
    told,
    upload_rights,
    verify_teacher,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


async def may_download(vps: Vps, person: Person, video: UUID) -> bool:
    answer = done(await vps.node.post(ACCESS, AccessQuestion(user_id=person.id, generation=0, video_id=video)))
    assert isinstance(answer["may_download"], bool)
    return bool(answer["may_download"])


async def allow(course: Course, allowed: bool = True) -> Any:
    return done(await course.teacher.patch(course.path, {"downloads_allowed": allowed}))


async def test_key_holders_keep_it_where_the_teacher_allows_and_previewers_never(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher, amount=0, preview=True)
    film = await store_video(vps, course)
    buyer, stranger = await make_student(vps), await make_student(vps, "ali")
    done(await buyer.post(f"{course.path}/enroll"), 201)
    admin = await sign_in(vps, "root-admin")
    everybody = (teacher, admin, buyer, stranger)
    assert [await may_download(vps, one, film) for one in everybody] == [True, True, False, False]
    await allow(course)
    assert [await may_download(vps, one, film) for one in everybody] == [True, True, True, False]
    await allow(course, False)
    assert [await may_download(vps, one, film) for one in everybody] == [True, True, False, False]


async def test_whoever_may_not_watch_may_not_download(vps: Vps) -> None:
    course = await published_course(vps, await make_teacher(vps))
    await allow(course)
    assert not await may_download(vps, await make_student(vps), await store_video(vps, course))


async def test_a_practice_video_is_kept_by_its_owner_only(vps: Vps) -> None:
    owner, friend, admin = await make_student(vps), await make_student(vps, "ali"), await make_admin(vps)
    event = practice_stored(owner)
    await told(vps.node, event)
    video = event.about.video_id
    done(await owner.put(f"/api/videos/{video}/shares/ali"))
    done(await owner.patch(f"/api/videos/{video}", {"is_public": True}))
    everybody = (owner, friend, admin, await make_teacher(vps))
    assert [await may_download(vps, one, video) for one in everybody] == [True, False, False, False]


async def test_it_is_not_allowed_until_its_teacher_says_so_and_everybody_sees_which_it_is(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)

    async def shown() -> list[bool]:
        everywhere = [done(await vps.http.get("/api/courses"))["items"][0], done(await vps.http.get(course.path))]
        return [one["downloads_allowed"] for one in everywhere]

    assert await shown() == [False, False]
    assert (await allow(course))["downloads_allowed"] is True
    assert await shown() == [True, True]
    refused(await teacher.patch(course.path, {"downloads_allowed": None}), 422, "validation_failed")
    refused(
        await (await make_teacher(vps, "amir")).patch(course.path, {"downloads_allowed": False}),
        404,
        "course_not_found",
    )
    assert await shown() == [True, True]


async def test_nodes_hear_of_it_when_it_changes_and_only_then(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    for allowed in (False, True, True, False):
        await allow(course, allowed)
    done(await course.teacher.patch(course.path, {"title": "The oud, again"}))
    change = {"kind": "course_downloads_changed", "course_id": course.id}
    assert await announced(vps) == [change, change]


async def test_a_node_is_told_what_the_lesson_is_called(vps: Vps) -> None:
    """What it stores is saved under that name by whoever downloads it."""
    teacher = await make_teacher(vps)
    await verify_teacher(vps, teacher)
    course = await draft_course(teacher)
    done(await teacher.patch(f"/api/lessons/{course.lesson_id}", {"title": "مسك العود"}))
    assert (await upload_rights(vps.node, teacher, lesson_id=course.lesson_id))["lesson_title"] == "مسك العود"
    assert (await upload_rights(vps.node, teacher, kind="practice"))["lesson_title"] == ""
