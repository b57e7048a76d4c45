"""Posters: which are for everybody, and where the VPS says that they are."""

from uuid import UUID

import pytest

from shared.posters import POSTERS, PostersQuestion
from tests.vps.people import done, draft_course, make_admin, make_teacher, published_course, store_video
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio


async def test_posters_are_for_everybody_while_their_course_is_published(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await draft_course(teacher)

    async def are_public(course_id: str = course.id) -> bool:
        answer = done(await vps.node.post(POSTERS, PostersQuestion(course_id=UUID(course_id))))
        assert set(answer) == {"are_public", "as_of"}
        return bool(answer["are_public"])

    admin, path = await make_admin(vps), f"/api/admin/courses/{course.id}"
    assert not await are_public()
    done(await teacher.post(f"{course.path}/submit"))
    assert not await are_public()
    done(await admin.post(f"{path}/reject", {"reason": "no"}))
    assert not await are_public()
    done(await teacher.post(f"{course.path}/submit"))
    done(await admin.post(f"{path}/approve"))
    assert await are_public()
    done(await teacher.post(f"{course.path}/archive"))
    assert not await are_public()
    done(await teacher.post(f"{course.path}/submit"))
    done(await admin.post(f"{path}/approve"))
    assert await are_public()
    done(await teacher.delete(course.path), 204)
    assert not await are_public()
    for nothing in (str(teacher.id), "019a0000-0000-7000-8000-000000000000"):
        assert not await are_public(nothing)


async def test_a_course_is_pictured_by_the_first_of_its_videos_that_is_ready(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)
    lesson = done(await teacher.post(f"/api/sections/{course.section_id}/lessons", {"title": "Second"}), 201)
    second = await store_video(vps, course, lesson_id=lesson["id"], status="ready")

    async def shown() -> list[str | None]:
        detail = done(await vps.http.get(course.path))
        listed = done(await vps.http.get("/api/courses"))["items"][0]
        return [
            listed["poster_url"],
            detail["poster_url"],
            *(one["poster_url"] for one in detail["sections"][0]["lessons"]),
        ]

    address = f"http://node-1.test/posters/{second}"
    assert await shown() == [address, address, None, address]
    await store_video(vps, course)
    assert await shown() == [address, address, None, address]
    first = (await vps.row("UPDATE videos SET status = 'ready' WHERE id <> :id RETURNING id", id=second))["id"]
    of_first = f"http://node-1.test/posters/{first}"
    assert await shown() == [of_first, of_first, of_first, address]


async def test_what_is_not_published_has_no_poster_even_for_its_teacher(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    await store_video(vps, course, status="ready")
    detail = done(await course.teacher.get(course.path))
    assert (detail["poster_url"], detail["sections"][0]["lessons"][0]["poster_url"]) == (None, None)
