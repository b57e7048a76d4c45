"""What was done to an account while its user was leaving, and they come back: it stands."""

import asyncio
from uuid import UUID

import pytest

from tests.vps.lives import leave
from tests.vps.people import (
    Course,
    announced,
    done,
    make_teacher,
    published_course,
    refused,
    sign_in,
)
from tests.vps.running import Vps
from vps_service.accounts.models import User
from vps_service.courses.actions import unpublish_course

pytestmark = pytest.mark.anyio

WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def status_of(vps: Vps, course: Course) -> str:
    return str((await vps.row("SELECT status FROM courses WHERE id = :id", id=UUID(course.id)))["status"])


async def test_a_course_that_an_admin_unpublished_meanwhile_is_not_for_sale_again(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    sold, withdrawn = [await published_course(vps, huda, 0) for _ in range(2)]
    admin = await sign_in(vps, "root-admin")
    done(await leave(huda), 202)
    for _ in range(2):
        answer = done(await admin.post(f"/api/admin/courses/{withdrawn.id}/unpublish"))
        assert answer["status"] == "archived"
    acts = await vps.rows("SELECT subject FROM audit_events WHERE what = 'course_unpublished'")
    assert acts == [{"subject": withdrawn.id}]
    back = await sign_in(vps, "huda")
    assert (await status_of(vps, sold), await status_of(vps, withdrawn)) == ("published", "archived")
    assert [change["course_id"] for change in await announced(vps, "course_published")][-1] == sold.id
    refused(await vps.http.get(withdrawn.path), 404, "course_not_found")
    done(await back.post(f"{withdrawn.path}/submit"))  # and asks for it as for any that was taken out of the shop


async def test_nor_is_one_that_an_admin_is_unpublishing_at_that_moment(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    course = await published_course(vps, huda, 0)
    root = await sign_in(vps, "root-admin")
    done(await leave(huda), 202)
    async with vps.sessions() as session, session.begin():
        admin = await session.get_one(User, root.id)
        await unpublish_course(session, admin, UUID(course.id))
        coming = asyncio.create_task(sign_in(vps, "huda"))
        while not coming.done() and not await vps.rows(WAITING):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    await coming
    assert await status_of(vps, course) == "archived"


async def test_a_demotion_meanwhile_stands(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    await published_course(vps, huda, 0)
    admin = await sign_in(vps, "root-admin")
    done(await admin.post("/api/admin/teachers/huda/verify"))
    done(await leave(huda), 202)
    done(await admin.post("/api/admin/teachers/huda/demote"))
    back = await sign_in(vps, "huda")
    assert done(await back.get("/api/auth/me"))["verified"] is False
