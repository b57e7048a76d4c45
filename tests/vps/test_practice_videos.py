"""Practice videos: anybody signed in may keep some, up to a quota; only they and admins know of them."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from shared.contract import (
    ACCESS,
    EVENTS,
    RECONCILE_COURSES,
    RECONCILE_GRANTS,
    RECONCILE_VIDEOS,
    AccessQuestion,
    CourseDigest,
    CoursesHeld,
    GrantsHeld,
    VideosHeld,
    course_digest,
)
from tests.vps.nodes import another_node
from tests.vps.people import (
    Person,
    access,
    again,
    announced,
    delete_video,
    done,
    make_admin,
    make_student,
    make_teacher,
    practice_stored,
    refused,
    told,
    upload_rights,
)
from tests.vps.running import Node, Vps

pytestmark = pytest.mark.anyio


@pytest.fixture
async def student(vps: Vps) -> Person:
    return await make_student(vps)


async def practise(node: Node, owner: Person, **changes: Any) -> UUID:
    """A practice video that this node holds."""
    event = practice_stored(owner, **changes)
    assert await told(node, event) == "applied"
    return event.about.video_id


async def shown(person: Person, query: str = "") -> Any:
    return done(await person.get(f"/api/users/me/videos{query}"))


# --- may it be uploaded? ------------------------------------------------------------------------------------


async def test_anybody_signed_in_may_upload_one_without_any_followers(vps: Vps, student: Person) -> None:
    for person in (student, await make_teacher(vps), await make_admin(vps)):
        answer = await upload_rights(vps.node, person, kind="practice")
        assert (answer["allowed"], answer["course_id"]) == (True, str(person.id))
        assert (answer["teacher_username"], answer["replaces"]) == (person.username, None)
        assert (answer["quota_bytes"], answer["used_elsewhere_bytes"]) == (2 * 2**30, 0)


async def test_who_is_banned_or_was_signed_out_may_not(vps: Vps, student: Person) -> None:
    admin, signed_out = await make_admin(vps), await make_teacher(vps)
    done(await admin.post(f"/api/admin/users/{student.id}/ban"))
    done(await signed_out.delete("/api/auth/sessions"), 204)
    for person in (student, signed_out):
        assert (await upload_rights(vps.node, person, kind="practice"))["reason"] == "signed_out"


@pytest.mark.settings(practice_quota_bytes=1000)
async def test_a_node_hears_of_the_quota_and_what_other_nodes_hold_of_it(vps: Vps, student: Person) -> None:
    other, third = await another_node(vps), await another_node(vps, "node-3")
    await practise(vps.node, student, size=100)
    gone = await practise(other, student, size=20)
    await practise(other, student, size=3)
    await practise(third, student, size=4)
    await practise(other, await make_student(vps, "ali"), size=500)
    assert await delete_video(vps, student, gone) == (True, None)

    async def elsewhere(node: Node) -> tuple[int, int]:
        answer = await upload_rights(node, student, kind="practice")
        return answer["quota_bytes"], answer["used_elsewhere_bytes"]

    assert [await elsewhere(node) for node in (vps.node, other, third)] == [(1000, 7), (1000, 104), (1000, 103)]


@pytest.mark.settings(practice_quota_bytes=1000)
async def test_what_two_nodes_took_at_once_is_over_the_quota_once(vps: Vps, student: Person) -> None:
    """It stays, in error, and counts until its owner deletes it."""
    nodes = [vps.node, *[await another_node(vps, f"node-{number}") for number in range(2, 6)]]
    events = [practice_stored(student, size=600) for _ in nodes]
    answers = await asyncio.gather(*(node.post(EVENTS, event) for node, event in zip(nodes, events, strict=True)))
    verdicts = [done(answer)["verdict"] for answer in answers]
    assert sorted(verdicts) == ["applied", *["refused"] * 4]
    over = [video for video in (await shown(student))["items"] if video["status"] == "error"]
    assert {video["reason"] for video in over} == {"Your practice videos take more room than you have."}
    taken = nodes[verdicts.index("applied")]
    assert (await upload_rights(taken, student, kind="practice"))["used_elsewhere_bytes"] == 2400
    for video in over:
        assert await delete_video(vps, student, video["id"]) == (True, None)
    assert await told(taken, practice_stored(student, size=400)) == "applied"
    assert await told(taken, practice_stored(student, size=1)) == "refused"


@pytest.mark.settings(practice_quota_bytes=1000)
async def test_what_was_ready_before_is_kept_whatever_the_quota_is_by_now(vps: Vps, student: Person) -> None:
    """As after a restore from an old backup."""
    assert await told(vps.node, practice_stored(student, size=5000, status="ready")) == "applied"


async def test_the_place_for_it_is_where_this_users_others_are(vps: Vps, student: Person) -> None:
    other = await another_node(vps, bytes_free=90 * 2**30)
    await practise(vps.node, student)
    path = "/api/users/me/upload-place"
    assert done(await student.get(path)) == {
        "node": "node-1",
        "uri": "http://node-1.test/videos?kind=practice",
        "resumable_uri": "http://node-1.test/uploads",
    }
    assert done(await (await make_student(vps, "ali")).get(path))["node"] == "node-2"
    for node in (vps.node, other):
        done(await node.report(bytes_free=0))
    refused(await student.get(path), 503, "no_node_available")


# --- what a node tells of it --------------------------------------------------------------------------------


async def test_one_that_is_told_of_is_its_owners_and_changes_its_state(vps: Vps, student: Person) -> None:
    event = practice_stored(student)
    assert await told(vps.node, event) == "applied"
    row = await vps.row("SELECT kind, owner_id, lesson_id, course_id, status FROM videos")
    assert tuple(row.values()) == ("practice", student.id, None, None, "processing")
    failed = again(event, status="error", reason="There is no picture in it.")
    assert await told(vps.node, failed) == "applied"
    (video,) = (await shown(student))["items"]
    assert (video["status"], video["reason"]) == ("error", "There is no picture in it.")


async def test_one_whose_owner_nobody_knows_is_unknown_and_may_be_known_another_time(vps: Vps, student: Person) -> None:
    """As after a restore from a backup that is older than the user."""
    event = practice_stored(Person(vps.http, {"id": str(uuid7())}, "", ""))
    assert await told(vps.node, event) == "unknown"
    assert await vps.rows("SELECT 1 FROM received_events") == []
    for table in ("sign_ins", "proofs"):
        await vps.rows(f"DELETE FROM {table}")
    await vps.rows("UPDATE users SET id = :id", id=event.about.owner_id)
    assert await told(vps.node, event) == "applied"


async def test_one_told_of_by_many_events_at_once_is_one(vps: Vps, student: Person) -> None:
    event = practice_stored(student)
    events = [event, *(again(event, status="ready") for _ in range(9))]
    answers = await asyncio.gather(*(vps.node.post(EVENTS, event) for event in events))
    assert [done(answer)["verdict"] for answer in answers] == ["applied"] * 10
    assert await vps.rows("SELECT status FROM videos") == [{"status": "ready"}]


# --- who may watch and delete it ------------------------------------------------------------------------------


async def test_its_owner_and_admins_watch_it_and_for_others_it_is_not_there(vps: Vps, student: Person) -> None:
    video = await practise(vps.node, student)
    admin, others = await make_admin(vps), [await make_student(vps, "ali"), await make_teacher(vps)]
    assert await access(vps, student, video) == (True, "granted", "owner")
    assert await access(vps, admin, video) == (True, "granted", "review")
    for other in others:
        assert await access(vps, other, video) == (False, "video_not_found", None)
    answer = done(await vps.node.post(ACCESS, AccessQuestion(user_id=admin.id, generation=0, video_id=video)))
    assert (answer["course_id"], answer["teacher_username"]) == (str(student.id), "sara")
    assert await access(vps, student, video, generation=1) == (False, "signed_out", None)


async def test_its_owner_alone_deletes_it_and_it_is_never_wanted_again(vps: Vps, student: Person) -> None:
    event = practice_stored(student)
    video = event.about.video_id
    assert await told(vps.node, event) == "applied"
    for other in (await make_student(vps, "ali"), await make_teacher(vps), await make_admin(vps)):
        assert (await delete_video(vps, other, video))[0] is False
    for _ in range(2):
        assert await delete_video(vps, student, video) == (True, None)
    gone = {"kind": "video_deleted", "video_id": str(video), "course_id": str(student.id)}
    assert await announced(vps) == [gone]
    assert await access(vps, student, video) == (False, "video_not_found", None)
    assert (await shown(student))["items"] == []
    assert await told(vps.node, again(event, status="ready")) == "unwanted"


async def test_everybody_finds_their_own_newest_first_page_by_page(vps: Vps, student: Person) -> None:
    first, second, third = [await practise(vps.node, student, title=title) for title in ("a", "b", "c")]
    await practise(vps.node, await make_student(vps, "ali"))
    await delete_video(vps, student, second)
    page = await shown(student, "?limit=1")
    rest = await shown(student, f"?limit=1&cursor={page['next']}")
    assert [item["id"] for item in page["items"] + rest["items"]] == [str(third), str(first)]
    assert rest["next"] is None
    (video,) = rest["items"]
    assert video.pop("created_at").endswith("Z")
    assert video.pop("uri").startswith(f"http://node-1.test/videos/{first}/stream?after=")
    assert video == {
        **{"id": str(first), "title": "a", "status": "processing", "reason": "", "renditions": []},
        **{"duration_s": 12.5, "size": 1_000_000, "media_type": "video/webm", "views": 0},
    }


# --- do we agree? -------------------------------------------------------------------------------------------


async def compared(vps: Vps, owner: Person, *videos: UUID, **other: Any) -> Any:
    state = {"size": 1_000_000, "sha256": "ab" * 32, "status": "processing"} | other
    held = {"course_id": owner.id, "videos": [{"video_id": video, **state} for video in videos]}
    answer = done(await vps.node.post(RECONCILE_VIDEOS, VideosHeld.model_validate(held)))
    return {name: found for name, found in answer.items() if found}


async def test_they_are_compared_by_their_owner_as_others_are_by_their_course(vps: Vps, student: Person) -> None:
    video, gone = await practise(vps.node, student), await practise(vps.node, student)
    await practise(await another_node(vps), student)
    await delete_video(vps, student, gone)
    digest = course_digest([(video, "ab" * 32, "processing")])
    same = CoursesHeld(courses=[CourseDigest(course_id=student.id, videos=1, digest=digest)])
    assert done(await vps.node.post(RECONCILE_COURSES, same))["differing"] == []
    nothing = CoursesHeld(courses=[], up_to=student.id)
    assert done(await vps.node.post(RECONCILE_COURSES, nothing))["differing"] == [str(student.id)]
    before = CoursesHeld(courses=[], after=student.id)
    assert done(await vps.node.post(RECONCILE_COURSES, before))["differing"] == []

    stray = uuid7()
    assert await compared(vps, student, video) == {}
    assert await compared(vps, student, video, gone, stray) == {"unknown": [str(stray)], "gone": [str(gone)]}
    assert await compared(vps, student, video, status="ready") == {"unknown": [str(video)]}
    assert await compared(vps, student) == {"missing": [str(video)]}


async def test_grants_of_them_are_right_for_owner_and_admins_only(vps: Vps, student: Person) -> None:
    admin, other = await make_admin(vps), await make_student(vps, "ali")
    nobody = Person(vps.http, {"id": str(uuid7())}, "", "")

    def grant(person: Person, owner: Person, via: str, generation: int = 0) -> dict[str, Any]:
        named = {"user_id": person.id, "course_id": owner.id, "video_id": None}
        return named | {"via": via, "generation": generation}

    right = [grant(student, student, "owner"), grant(admin, student, "review")]
    wrong = [grant(other, student, "owner"), grant(student, student, "owner", 1), grant(admin, nobody, "review")]
    answer = await vps.node.post(RECONCILE_GRANTS, GrantsHeld.model_validate({"grants": right + wrong}))
    assert done(answer)["wrong"] == [2, 3, 4]
