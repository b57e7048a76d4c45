"""What a lesson has beside its title: a video with its states and renditions, and files."""

import json
from typing import Any

import pytest

from shared.contract import UPLOAD_RIGHTS
from tests.vps.people import (
    Course,
    Person,
    access,
    again,
    announced,
    delete_video,
    done,
    draft_course,
    lesson_shown,
    make_student,
    make_teacher,
    published_course,
    refused,
    sign_in,
    store_video,
    told,
    upload_rights,
    verify_teacher,
    video_stored,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

SHEET = {"video_kind": "file", "title": "scales.pdf", "media_type": "application/pdf", "duration_s": 0, "size": 4321}
SHEET |= {"status": "ready"}
SD = {"name": "sd", "width": 854, "height": 480, "size": 700_000, "bitrate": 448_000}


@pytest.fixture
async def teacher(vps: Vps) -> Person:
    return await make_teacher(vps)


async def free_course(vps: Vps, teacher: Person, **how: Any) -> Course:
    return await published_course(vps, teacher, amount=0, **how)


# --- files --------------------------------------------------------------------------------------------------


async def test_a_lesson_takes_files_besides_its_video_from_whom_it_takes_videos(vps: Vps, teacher: Person) -> None:
    course, other, student = await draft_course(teacher), await make_teacher(vps, "huda"), await make_student(vps)
    await store_video(vps, course)
    await store_video(vps, course, **SHEET)

    async def reason(person: Person) -> str | None:
        answer = await upload_rights(vps.node, person, kind="file", lesson_id=course.lesson_id)
        assert answer["course_id"] == (None if answer["reason"] else course.id)
        found: str | None = answer["reason"]
        return found

    assert await reason(teacher) == "not_enough_followers"
    await verify_teacher(vps, teacher)
    assert await reason(teacher) is None
    assert await reason(other) == "lesson_not_found"
    assert await reason(student) == "not_a_teacher"
    await teacher.delete(course.path)
    assert await reason(teacher) == "lesson_not_found"


async def test_files_are_shown_to_all_and_found_by_whoever_may_open_the_lesson(vps: Vps, teacher: Person) -> None:
    course, buyer = await free_course(vps, teacher), await make_student(vps)
    files = [await store_video(vps, course, **SHEET | {"title": title}) for title in ("a.pdf", "b.pdf")]
    done(await buyer.post(f"{course.path}/enroll"), 201)
    for person in (buyer, teacher, await sign_in(vps, "root-admin")):
        lesson = await lesson_shown(person, course)
        assert (lesson["video_id"], lesson["status"]) == (None, None)
        assert [file["id"] for file in lesson["files"]] == [str(file) for file in files]
        assert lesson["files"][0]["uri"].startswith(f"http://node-1.test/files/{files[0]}?after=")
    for stranger in (vps.http, await make_student(vps, "ali")):
        first, second = (await lesson_shown(stranger, course))["files"]
        assert first == {"id": None, "title": "a.pdf", "media_type": "application/pdf", "size": 4321, "uri": None}
        assert second["title"] == "b.pdf"
    assert done(await buyer.get(f"{course.path}/key"))["videos"] == []


async def test_a_file_is_opened_by_the_rights_of_its_lesson(vps: Vps, teacher: Person) -> None:
    course, preview = await free_course(vps, teacher), await free_course(vps, teacher, preview=True)
    buyer, stranger = await make_student(vps), await make_student(vps, "ali")
    file, shown = await store_video(vps, course, **SHEET), await store_video(vps, preview, **SHEET)
    done(await buyer.post(f"{course.path}/enroll"), 201)
    assert await access(vps, buyer, file) == (True, "granted", "key")
    assert await access(vps, teacher, file) == (True, "granted", "owner")
    assert await access(vps, stranger, file) == (False, "key_required", None)
    assert await access(vps, stranger, shown) == (True, "granted", "preview")


async def test_when_a_lesson_is_a_preview_no_more_that_is_said_of_its_video_and_each_file(
    vps: Vps, teacher: Person
) -> None:
    course = await free_course(vps, teacher, preview=True)
    held = [await store_video(vps, course), *[await store_video(vps, course, **SHEET) for _ in range(2)]]
    assert await delete_video(vps, teacher, held.pop()) == (True, None)
    done(await teacher.patch(f"/api/lessons/{course.lesson_id}", {"is_preview": False}))
    changes = await announced(vps, "lesson_preview_changed")
    assert sorted(change["video_id"] for change in changes) == sorted(str(video) for video in held)


async def test_a_deleted_file_is_gone_and_the_rest_of_the_lesson_stays(vps: Vps, teacher: Person) -> None:
    course, other = await free_course(vps, teacher), await make_teacher(vps, "huda")
    video, file = await store_video(vps, course), await store_video(vps, course, **SHEET)
    assert await delete_video(vps, other, file) == (False, "not_found")
    assert await delete_video(vps, teacher, file, is_file=False) == (False, "not_found")
    assert await delete_video(vps, teacher, video, is_file=True) == (False, "not_found")
    assert await delete_video(vps, teacher, file, is_file=True) == (True, None)
    lesson = await lesson_shown(teacher, course)
    assert (lesson["video_id"], lesson["files"]) == (str(video), [])
    assert await access(vps, teacher, file) == (False, "video_not_found", None)
    assert [change["video_id"] for change in await announced(vps, "video_deleted")] == [str(file)]


async def test_a_file_of_a_foreign_or_deleted_course_is_unwanted_and_of_an_unknown_one_unknown(
    vps: Vps, teacher: Person
) -> None:
    course, deleted = await draft_course(teacher), await draft_course(teacher)
    foreign = await draft_course(await make_teacher(vps, "huda"))
    await teacher.delete(deleted.path)
    assert await told(vps.node, video_stored(course, **SHEET, lesson_id=foreign.lesson_id)) == "unwanted"
    assert await told(vps.node, video_stored(deleted, **SHEET)) == "unwanted"
    assert await told(vps.node, video_stored(course, **SHEET, course_id=teacher.id)) == "unknown"


# --- the video's state --------------------------------------------------------------------------------------


async def test_a_lesson_shows_how_its_video_is_and_where_only_to_whom_it_opens(vps: Vps, teacher: Person) -> None:
    course, buyer = await free_course(vps, teacher), await make_student(vps)
    event = video_stored(course, status="error", reason="It ends early.")
    assert await told(vps.node, event) == "applied"
    done(await buyer.post(f"{course.path}/enroll"), 201)
    assert (await lesson_shown(teacher, course))["reason"] == "It ends early."
    for person in (buyer, vps.http):
        lesson = await lesson_shown(person, course)
        assert (lesson["status"], lesson["reason"], lesson["renditions"]) == ("error", "", [])

    ready = again(event, status="ready", reason="", renditions=[SD], duration_s=12.52)
    assert await told(vps.node, ready) == "applied"
    for person, opens in ((teacher, True), (buyer, True), (vps.http, False)):
        lesson = await lesson_shown(person, course)
        assert (lesson["status"], lesson["duration_s"], lesson["renditions"]) == ("ready", 12.52, [SD])
        assert lesson["video_id"] == (str(event.about.video_id) if opens else None)
        assert bool(lesson["uri"]) is opens
    (link,) = done(await buyer.get(f"{course.path}/key"))["videos"]
    assert (await lesson_shown(buyer, course))["uri"] == link["uri"]


async def test_whatever_is_not_for_practice_needs_a_lesson(vps: Vps, teacher: Person) -> None:
    course = await draft_course(teacher)
    for kind in ("course", "file"):
        assert await told(vps.node, video_stored(course, video_kind=kind, lesson_id=None)) == "unknown"
    asker = {"user_id": str(teacher.id), "generation": 0}
    for odd in ({"kind": "practice", "lesson_id": course.lesson_id}, {"kind": "file"}, {"kind": "film"}, {}):
        answer = await vps.node.call("POST", UPLOAD_RIGHTS, json.dumps(asker | odd).encode())
        refused(answer, 422, "validation_failed")
