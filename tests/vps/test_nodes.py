"""Several nodes: what each says of itself, where uploads go, and where a course's videos are found."""

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils.compat import uuid7

from shared.contract import DELETIONS, EVENTS, RECONCILE_VIDEOS, REPORTS, DeletionQuestion, VideosHeld
from tests.vps.feed import announce
from tests.vps.nodes import admit, another_node
from tests.vps.people import (
    Course,
    Person,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    published_course,
    refused,
    store_video,
    video_stored,
)
from tests.vps.running import NODE, Node, Vps, node_report

pytestmark = pytest.mark.anyio

GIB = 2**30


async def fall_silent(vps: Vps, node: str, seconds: int = 21) -> None:
    await vps.rows("UPDATE nodes SET seen_at = now() - make_interval(secs => :s) WHERE id = :id", s=seconds, id=node)


async def shown(admin: Person, node: str = NODE) -> dict[str, Any]:
    found: dict[str, Any] = next(item for item in done(await admin.get("/api/admin/nodes")) if item["id"] == node)
    return found


async def upload_place(course: Course) -> Any:
    return done(await course.teacher.get(f"/api/lessons/{course.lesson_id}/upload-place"))


async def another_lesson(course: Course) -> str:
    path = f"/api/sections/{course.section_id}/lessons"
    return str(done(await course.teacher.post(path, {"title": "Tuning it"}), 201)["id"])


# --- what a node says of itself -----------------------------------------------------------------------------


async def test_an_admin_sees_each_node_as_it_described_itself(vps: Vps) -> None:
    await announce(vps, 5)
    admin = await make_admin(vps)
    told = {"bytes_free": 7, "videos": 3, "grants": 4, "outbox_depth": 2, "outbox_age_s": 1.5, "outbox_set_aside": 1}
    told |= {"trust_age_s": 0.25, "clock_skew_s": -3.5, "bytes_stored": 93, "capacity_bytes": 100}
    node = await another_node(vps, "node-2", feed_position=3, **told)
    assert [item["id"] for item in done(await admin.get("/api/admin/nodes"))] == [NODE, "node-2"]
    seen = await shown(admin, "node-2")
    assert seen == told | {
        **{"id": "node-2", "url": "http://node-2.test", "state": "up", "feed_lag": 2, "missing_videos": 0},
        **{"seen_at": seen["seen_at"], "reconciled_at": None},
    }
    assert seen["seen_at"].endswith("Z")
    done(await node.report(url="https://video2.example/", feed_position=None, trust_age_s=None, clock_skew_s=None))
    now = await shown(admin, "node-2")
    assert (now["url"], now["feed_lag"], now["trust_age_s"]) == ("https://video2.example", None, None)


async def test_a_node_that_has_never_reported_is_shown_as_silent_and_without_figures(vps: Vps) -> None:
    admin = await make_admin(vps)
    await admit(vps, "node-2", Ed25519PrivateKey.generate())
    seen = await shown(admin, "node-2")
    assert (seen.pop("id"), seen.pop("state"), seen.pop("missing_videos")) == ("node-2", "silent", 0)
    assert set(seen.values()) == {None}


async def test_a_node_that_stops_reporting_is_shown_as_silent_until_it_is_back(vps: Vps) -> None:
    admin = await make_admin(vps)
    await fall_silent(vps, NODE, 15)
    assert (await shown(admin))["state"] == "up"
    await fall_silent(vps, NODE)
    seen = await shown(admin)
    assert (seen["state"], seen["url"], seen["videos"]) == ("silent", "http://node-1.test", 0)
    done(await vps.node.report())
    assert (await shown(admin))["state"] == "up"


async def test_nodes_are_for_admins_only(vps: Vps) -> None:
    for person in (await make_student(vps), await make_teacher(vps)):
        refused(await person.get("/api/admin/nodes"), 403, "wrong_role")
    refused(await vps.http.get("/api/admin/nodes"), 401, "not_authenticated")
    refused(
        await vps.node.send(vps.node.token("GET", "/api/admin/nodes"), "GET", "/api/admin/nodes"),
        401,
        "not_authenticated",
    )


@pytest.mark.parametrize("url", ["", "node-1", "ftp://node-1.test", "javascript:alert(1)", "http://node-1.test/?x=1"])
async def test_a_node_that_names_no_address_of_its_own_is_not_heard(vps: Vps, url: str) -> None:
    body = node_report().model_dump_json().replace("http://node-1.test", url).encode()
    refused(await vps.node.call("POST", REPORTS, body), 422, "validation_failed")
    assert (await vps.row("SELECT url FROM nodes"))["url"] == "http://node-1.test"


# --- where to upload -----------------------------------------------------------------------------------------


async def test_an_upload_goes_where_most_room_is(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    assert await upload_place(course) == {
        "node": NODE,
        "uri": f"http://node-1.test/videos?lesson_id={course.lesson_id}",
        "resumable_uri": "http://node-1.test/uploads",
        "files_uri": f"http://node-1.test/files?lesson_id={course.lesson_id}",
    }
    await another_node(vps, "node-2", bytes_free=60 * GIB)
    await another_node(vps, "node-3", bytes_free=55 * GIB)
    assert (await upload_place(course))["node"] == "node-2"


async def test_a_silent_node_is_offered_to_nobody(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    await another_node(vps, "node-2", bytes_free=60 * GIB)
    await fall_silent(vps, "node-2")
    assert (await upload_place(course))["node"] == NODE
    await fall_silent(vps, NODE)
    answer = await course.teacher.get(f"/api/lessons/{course.lesson_id}/upload-place")
    refused(answer, 503, "no_node_available")
    assert int(answer.headers["retry-after"]) > 0


async def test_a_full_node_is_offered_to_nobody(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    node = await another_node(vps, "node-2", bytes_free=GIB)
    done(await vps.node.report(bytes_free=GIB - 1))
    assert (await upload_place(course))["node"] == "node-2"
    done(await node.report(bytes_free=0))
    refused(await course.teacher.get(f"/api/lessons/{course.lesson_id}/upload-place"), 503, "no_node_available")


async def test_a_node_that_was_removed_is_offered_to_nobody(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    await another_node(vps, "node-2", bytes_free=60 * GIB)
    await vps.rows("DELETE FROM node_keys WHERE node_id = 'node-2'")
    assert (await upload_place(course))["node"] == NODE


async def test_the_node_that_holds_the_courses_videos_is_preferred_while_it_can_take_more(vps: Vps) -> None:
    course = await draft_course(await make_teacher(vps))
    video = await store_video(vps, course)
    other = await another_node(vps, "node-2", bytes_free=90 * GIB)
    course.lesson_id = await another_lesson(course)
    assert (await upload_place(course))["node"] == NODE
    done(await vps.node.report(bytes_free=0))
    assert (await upload_place(course))["node"] == "node-2"
    assert done(await other.post(EVENTS, video_stored(course))) == {"verdict": "applied", "reason": ""}
    done(await vps.node.report())
    question = DeletionQuestion(user_id=course.teacher.id, generation=0, video_id=video)
    done(await vps.node.post(DELETIONS, question))
    done(await other.report(bytes_free=2 * GIB))
    course.lesson_id = await another_lesson(course)
    assert (await upload_place(course))["node"] == "node-2"  # what was deleted is held by nobody


async def test_only_a_teacher_is_told_where_to_upload_and_only_for_a_lesson_of_theirs(vps: Vps) -> None:
    course = await published_course(vps, await make_teacher(vps))
    other, student = await make_teacher(vps, "huda"), await make_student(vps)
    path = f"/api/lessons/{course.lesson_id}/upload-place"
    refused(await other.get(path), 404, "lesson_not_found")
    refused(await student.get(path), 403, "wrong_role")
    refused(await (await make_admin(vps, "other-admin")).get(path), 403, "wrong_role")
    refused(await vps.http.get(path), 401, "not_authenticated")
    refused(await course.teacher.get(f"/api/lessons/{uuid7()}/upload-place"), 404, "lesson_not_found")
    await course.teacher.delete(course.path)
    refused(await course.teacher.get(path), 404, "lesson_not_found")


# --- where the videos are ------------------------------------------------------------------------------------


async def test_each_video_link_points_at_its_own_node_and_says_what_the_node_must_know(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    other = await another_node(vps, "node-2")
    course = await published_course(vps, teacher, 0)
    first = await store_video(vps, course)
    event = video_stored(course, lesson_id=await another_lesson(course))
    done(await other.post(EVENTS, event))
    links = done(await student.post(f"{course.path}/enroll"), 201)["videos"]
    granted = (await vps.row("SELECT number FROM changes WHERE kind = 'key_granted'"))["number"]
    assert [(link["node"], link["uri"]) for link in links] == [
        (NODE, f"http://node-1.test/videos/{first}/stream?after={granted}"),
        ("node-2", f"http://node-2.test/videos/{event.about.video_id}/stream?after={granted}"),
    ]
    await announce(vps, 3)
    done(await other.report(url="https://video.example"))
    links = done(await student.get(f"{course.path}/key"))["videos"]
    assert links[1]["uri"] == f"https://video.example/videos/{event.about.video_id}/stream?after={granted + 3}"


async def test_a_video_of_a_node_that_has_told_no_address_is_not_linked_yet(vps: Vps) -> None:
    teacher, student = await make_teacher(vps), await make_student(vps)
    course = await published_course(vps, teacher, 0)
    await store_video(vps, course)
    await vps.rows("UPDATE nodes SET url = NULL")
    assert done(await student.post(f"{course.path}/enroll"), 201)["videos"] == []
    done(await vps.node.report())
    assert len(done(await student.get(f"{course.path}/key"))["videos"]) == 1


async def test_missing_videos_are_counted_for_each_node(vps: Vps) -> None:
    admin, course = await make_admin(vps), await draft_course(await make_teacher(vps))
    await store_video(vps, course)
    other: Node = await another_node(vps, "node-2")
    held = VideosHeld.model_validate({"course_id": course.id, "videos": []})
    done(await other.post(RECONCILE_VIDEOS, held))
    assert [item["missing_videos"] for item in done(await admin.get("/api/admin/nodes"))] == [0, 0]
    done(await vps.node.post(RECONCILE_VIDEOS, held))
    assert [item["missing_videos"] for item in done(await admin.get("/api/admin/nodes"))] == [1, 0]
