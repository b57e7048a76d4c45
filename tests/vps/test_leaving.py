"""Leaving: asked for with the password, taken back by signing in, and done for good after a time of grace."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from shared.contract import VideoStored
from shared.problems import NotAuthenticated
from shared.schemas import Money
from tests.mail_server import MailServer
from tests.vps.lives import finish, gone_for_good, leave, practised, state_of, time_is_up
from tests.vps.people import (
    PASSWORD,
    Person,
    access,
    announced,
    done,
    draft_course,
    lesson_shown,
    make_admin,
    make_student,
    make_teacher,
    make_verified_student,
    practice_stored,
    published_course,
    refused,
    sign_in,
    store_video,
    submitted_course,
    told,
    upload_rights,
    video_stored,
)
from tests.vps.running import Vps
from tests.vps.test_proofs import ANOTHER, log_in, reset, token_of_reset
from vps_service.accounts.models import User
from vps_service.courses import actions, videos

pytestmark = pytest.mark.anyio

WAITING = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def cannot_sign_in(vps: Vps, login: str) -> None:
    answer = await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD})
    refused(answer, 401, "bad_credentials")


async def followers(teacher: Person) -> int:
    return int(done(await teacher.get("/api/auth/me"))["followers"])


# --- asking for it ------------------------------------------------------------------------------------------


async def test_who_asks_is_signed_out_everywhere_and_told_until_when_it_can_be_taken_back(vps: Vps) -> None:
    phone = await make_verified_student(vps)
    laptop = await sign_in(vps, "sara")
    answer = done(await leave(phone), 202)
    asked_at, due_at = (datetime.fromisoformat(answer[name]) for name in ("asked_at", "due_at"))
    assert due_at - asked_at == timedelta(days=14)
    for device in (phone, laptop):
        refused(await device.get("/api/auth/me"), 401, "not_authenticated")
        refreshed = await vps.http.post("/api/auth/refresh", json={"refresh_token": device.refresh_token})
        refused(refreshed, 401, "bad_refresh_token")
    kinds = [change["kind"] for change in await announced(vps)]
    assert kinds == ["user_signed_out", "session_ended", "session_ended"]
    mail = await vps.row("SELECT address, useful_until FROM mails WHERE template = 'account_leaving'")
    assert mail == {"address": "sara@example.com", "useful_until": due_at}


async def test_case_13_an_address_that_nobody_confirmed_is_not_told(vps: Vps) -> None:
    done(await leave(await make_student(vps)), 202)
    assert await vps.rows("SELECT 1 FROM mails WHERE template = 'account_leaving'") == []


async def test_it_takes_the_password_and_a_token(vps: Vps) -> None:
    student = await make_student(vps)
    refused(await leave(student, "not the password"), 403, "wrong_password")
    refused(await student.delete("/api/users/me"), 422, "validation_failed")
    nobody = await vps.http.request("DELETE", "/api/users/me", json={"password": PASSWORD})
    refused(nobody, 401, "not_authenticated")
    done(await student.get("/api/auth/me"))
    assert await vps.rows("SELECT * FROM leavings") == []


async def test_a_stolen_token_does_not_guess_the_password(vps: Vps) -> None:
    student = await make_student(vps)
    answers = [await leave(student, f"guess number {number}") for number in range(11)]
    assert [answer.status_code for answer in answers] == [*[403] * 10, 429]
    assert int(answers[-1].headers["retry-after"]) > 0
    refused(await leave(student), 429, "too_many_requests")


async def test_of_twenty_who_ask_at_once_one_is_first(vps: Vps) -> None:
    student = await make_student(vps)
    answers = await asyncio.gather(*(leave(student) for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {202, 401, 403, 429}
    assert [answer.status_code for answer in answers].count(202) == 1
    assert [change["kind"] for change in await announced(vps)] == ["user_signed_out", "session_ended"]


async def test_who_leaves_is_not_there_for_anybody_else(vps: Vps) -> None:
    huda, sara = await make_teacher(vps, "huda"), await make_verified_student(vps)
    course = await published_course(vps, huda)
    video = await practised(vps, huda)
    done(await huda.put(f"/api/videos/{video}/shares/sara"))
    shown = await practised(vps, sara)
    done(await leave(huda), 202)
    refused(await sara.put("/api/teachers/huda/follow"), 404, "teacher_not_found")
    refused(await sara.put(f"/api/videos/{shown}/shares/huda"), 404, "user_not_found")
    assert done(await sara.get("/api/users/me/shared-videos"))["items"] == []
    assert await access(vps, sara, video) == (False, "video_not_found", None)
    assert done(await vps.http.get("/api/courses"))["items"] == []
    refused(await sara.post(f"{course.path}/enroll"), 404, "course_not_found")
    taken = await vps.http.post(
        "/api/auth/register", json={"name": "H", "username": "huda", "password": PASSWORD, "email": "h@example.com"}
    )
    refused(taken, 409, "already_taken")


async def test_who_leaves_counts_as_nobodys_follower_from_then_on(vps: Vps) -> None:
    omar = await make_teacher(vps)
    students = [await make_verified_student(vps, f"student{number}") for number in range(4)]
    for student in students:
        done(await student.put("/api/teachers/omar/follow"))
    await asyncio.gather(*(leave(student) for student in students[1:]))
    assert await followers(omar) == 1
    await sign_in(vps, "student1")
    assert await followers(omar) == 2
    await time_is_up(vps)
    await finish(vps)
    assert await followers(omar) == 2
    assert len(await vps.rows("SELECT 1 FROM follows")) == 2


# --- taking it back -----------------------------------------------------------------------------------------


async def test_signing_in_takes_it_back_and_everything_is_as_before(vps: Vps) -> None:
    huda, sara = await make_teacher(vps, "huda"), await make_student(vps)
    sold, archived = await published_course(vps, huda, 0), await published_course(vps, huda, 0)
    done(await huda.post(f"{archived.path}/archive"))
    video = await practised(vps, huda)
    done(await huda.put(f"/api/videos/{video}/shares/sara"))
    done(await leave(huda), 202)
    back = await sign_in(vps, "huda")
    assert back.user["username"] == "huda"
    assert [course["id"] for course in done(await vps.http.get("/api/courses"))["items"]] == [sold.id]
    statuses = {course["id"]: course["status"] for course in done(await back.get("/api/teacher/courses"))["items"]}
    assert statuses == {sold.id: "published", archived.id: "archived"}
    assert (await access(vps, sara, video))[0]
    assert (await upload_rights(vps.node, back, kind="practice", generation=1))["allowed"]
    kinds = [change["kind"] for change in await announced(vps)][-7:]
    assert kinds == [
        *("video_shared", "user_signed_out", "session_ended", "practice_videos_hidden", "course_unpublished"),
        *("user_activated", "course_published"),
    ]
    await time_is_up(vps)
    await finish(vps)
    assert await state_of(vps, huda) == "active"


async def test_a_wrong_password_takes_nothing_back(vps: Vps) -> None:
    student = await make_student(vps)
    done(await leave(student), 202)
    wrong = await vps.http.post("/api/auth/login", json={"login": "sara", "password": "not the password"})
    refused(wrong, 401, "bad_credentials")
    assert await state_of(vps, student) == "leaving"


async def test_who_forgot_the_password_can_have_another_and_come_back_by_it(vps: Vps, mail_server: MailServer) -> None:
    student = await make_student(vps)
    done(await leave(student), 202)
    token = await token_of_reset(vps, mail_server)
    done(await reset(vps, token), 204)
    assert await state_of(vps, student) == "leaving"
    assert await log_in(vps, ANOTHER) == 200
    assert await state_of(vps, student) == "active"


async def test_many_sign_ins_at_once_take_it_back_once(vps: Vps) -> None:
    student = await make_student(vps)
    done(await leave(student), 202)
    login = {"login": "sara", "password": PASSWORD}
    answers = await asyncio.gather(*(vps.http.post("/api/auth/login", json=login) for _ in range(10)))
    assert 200 in [answer.status_code for answer in answers]
    await sign_in(vps, "sara")
    kinds = [change["kind"] for change in await announced(vps)]
    assert kinds.count("user_activated") == 1


async def test_it_is_too_late_once_the_time_is_up_whether_or_not_anything_was_done_yet(vps: Vps) -> None:
    student = await make_student(vps)
    done(await leave(student), 202)
    await time_is_up(vps)
    await cannot_sign_in(vps, "sara")
    await finish(vps)
    await cannot_sign_in(vps, "sara")
    assert await state_of(vps, student) == "deleted"


async def test_who_comes_back_while_it_is_being_done_is_either_here_or_gone(vps: Vps) -> None:
    for number in range(8):
        student = await make_student(vps, f"student{number}")
        done(await leave(student), 202)
        await vps.rows("UPDATE leavings SET due_at = clock_timestamp() + interval '20 milliseconds'")
        login = {"login": student.username, "password": PASSWORD}
        signing_in = vps.http.post("/api/auth/login", json=login)
        answer, _ = await asyncio.gather(signing_in, finish(vps))
        await asyncio.sleep(0.03)
        await finish(vps)
        is_here = answer.status_code == 200
        assert await state_of(vps, student) == ("active" if is_here else "deleted")


async def test_a_course_that_waited_for_review_has_to_be_submitted_again(vps: Vps) -> None:
    admin, huda = await make_admin(vps), await make_teacher(vps, "huda")
    course = await submitted_course(huda)
    done(await leave(huda), 202)
    refused(await admin.post(f"/api/admin/courses/{course.id}/approve"), 409, "wrong_status")
    back = await sign_in(vps, "huda")
    done(await back.post(f"{course.path}/submit"))


async def test_who_left_while_they_submit_or_draft_a_course_does_neither(vps: Vps) -> None:
    """A request that was let in a moment before they left."""
    huda = await make_teacher(vps, "huda")
    course = await draft_course(huda)
    async with vps.sessions() as session:
        let_in = await session.get_one(User, huda.id)
    done(await leave(huda), 202)
    free = Money(amount=0, currency="EGP")
    async with vps.sessions() as session, session.begin():
        with pytest.raises(NotAuthenticated):
            await actions.submit_course(session, let_in, UUID(course.id))
        with pytest.raises(NotAuthenticated):
            await actions.draft_course(session, let_in, "Late", "", free, "EGP")
    assert await vps.rows("SELECT status FROM courses") == [{"status": "draft"}]


# --- what goes and what stays -------------------------------------------------------------------------------


async def test_a_teachers_videos_go_from_every_lesson_and_courses_are_archived(vps: Vps) -> None:
    huda, sara = await make_teacher(vps, "huda"), await make_student(vps)
    free, draft = await published_course(vps, huda, 0), await draft_course(huda)
    videos = [await store_video(vps, course) for course in (free, draft)]
    videos.append(await store_video(vps, free, video_kind="file", title="notes.pdf", media_type="application/pdf"))
    videos.append(await practised(vps, huda))
    key = done(await sara.post(f"{free.path}/enroll"), 201)["key"]
    assert (await access(vps, sara, videos[0]))[0]
    await gone_for_good(vps, huda)
    gone = {change["video_id"] for change in await announced(vps, "video_deleted")}
    assert gone == {str(video) for video in videos}
    assert await access(vps, sara, videos[0]) == (False, "video_not_found", None)
    rows = await vps.rows("SELECT status, deleted_at FROM courses")
    assert [tuple(row.values()) for row in rows] == [("archived", None)] * 2
    (kept,) = done(await sara.get("/api/keys"))["items"]
    assert (kept["id"], kept["course"]["title"]) == (key["id"], "The oud")
    assert done(await sara.get(f"{free.path}/key"))["videos"] == []


async def test_a_name_and_an_address_can_be_somebody_elses_afterwards(vps: Vps) -> None:
    first = await make_student(vps)
    await gone_for_good(vps, first)
    second = await make_student(vps)
    assert second.id != first.id
    done(await second.get("/api/auth/me"))


async def test_the_image_goes_from_the_disk(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    image = huda.user["image"]["square"].removeprefix(vps.settings.vps_url)
    assert (await vps.http.get(image)).status_code == 200
    await gone_for_good(vps, huda)
    refused(await vps.http.get(image), 404, "image_not_found")
    assert list((vps.settings.data_dir / "images").iterdir()) == []


async def test_what_a_node_tells_of_late_is_unwanted(vps: Vps) -> None:
    """An upload that was under way when its owner left."""
    huda = await make_teacher(vps, "huda")
    course = await draft_course(huda)
    await gone_for_good(vps, huda)

    assert await told(vps.node, practice_stored(huda)) == "unwanted"
    assert await told(vps.node, video_stored(course)) == "unwanted"
    assert await vps.rows("SELECT 1 FROM videos") == []


async def test_a_video_that_is_being_stored_while_its_owner_is_deleted_goes_too(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    course = await draft_course(huda)
    done(await leave(huda), 202)
    await time_is_up(vps)
    stored = video_stored(course).about
    assert isinstance(stored, VideoStored)
    async with vps.sessions() as session, session.begin():
        assert await videos.store_video(session, "node-1", stored, 0) == "applied"
        finishing = asyncio.create_task(finish(vps))
        while not finishing.done() and not await vps.rows(WAITING):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.01)
    await finishing
    assert await state_of(vps, huda) == "deleted"
    assert [change["video_id"] for change in await announced(vps, "video_deleted")] == [str(stored.video_id)]


async def test_an_upload_that_comes_within_the_time_of_grace_is_there_for_who_comes_back(vps: Vps) -> None:
    huda = await make_teacher(vps, "huda")
    course = await draft_course(huda)
    done(await leave(huda), 202)
    video = await store_video(vps, course)
    back = await sign_in(vps, "huda")
    assert (await lesson_shown(back, course))["video_id"] == str(video)


# --- admins, and who was banned -------------------------------------------------------------------------------


async def test_the_last_admin_stays(vps: Vps) -> None:
    admin = await make_admin(vps)
    refused(await leave(admin), 409, "last_admin")
    other = await make_admin(vps, "other-admin")
    done(await admin.post(f"/api/admin/users/{other.id}/ban"))
    refused(await leave(admin), 409, "last_admin")
    done(await admin.post(f"/api/admin/users/{other.id}/activate"))
    done(await leave(admin), 202)


async def test_of_the_last_two_admins_who_leave_at_once_one_stays(vps: Vps) -> None:
    for number in range(5):
        admins = [await make_admin(vps, f"admin-{number}-{one}") for one in "ab"]
        answers = await asyncio.gather(*(leave(admin) for admin in admins))
        assert sorted(answer.status_code for answer in answers) == [202, 409]
        await vps.rows("UPDATE users SET state = 'banned'")


async def test_who_was_banned_while_leaving_cannot_come_back_and_is_deleted_all_the_same(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    done(await leave(student), 202)
    assert done(await admin.post(f"/api/admin/users/{student.id}/ban"))["state"] == "banned"
    await cannot_sign_in(vps, "sara")
    await time_is_up(vps)
    await finish(vps)
    assert await state_of(vps, student) == "deleted"


async def test_who_is_let_in_again_while_leaving_still_is_until_they_sign_in(vps: Vps) -> None:
    admin, student = await make_admin(vps), await make_student(vps)
    done(await leave(student), 202)
    done(await admin.post(f"/api/admin/users/{student.id}/ban"))
    assert done(await admin.post(f"/api/admin/users/{student.id}/activate"))["state"] == "leaving"
    done(await (await sign_in(vps, "sara")).get("/api/auth/me"))
    assert await state_of(vps, student) == "active"


async def test_there_is_nothing_to_be_done_to_who_is_gone(vps: Vps) -> None:
    admin, teacher = await make_admin(vps), await make_teacher(vps)
    await gone_for_good(vps, teacher)
    for act in ("ban", "activate"):
        refused(await admin.post(f"/api/admin/users/{teacher.id}/{act}"), 404, "user_not_found")
    refused(await admin.put(f"/api/admin/users/{teacher.id}/role", {"role": "student"}), 404, "user_not_found")
    assert await state_of(vps, teacher) == "deleted"
