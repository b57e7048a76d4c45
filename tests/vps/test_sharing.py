"""What the owner of a practice video says of it, and whom they let watch it: some, or anyone signed in."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from uuid_utils.compat import uuid7

from shared.contract import ACCESS, RECONCILE_GRANTS, AccessQuestion, GrantsHeld
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
    published_course,
    refused,
    store_video,
    told,
)
from tests.vps.running import Vps

pytestmark = pytest.mark.anyio

REFUSED = (False, "video_not_found", None)


@pytest.fixture
async def owner(vps: Vps) -> Person:
    return await make_student(vps)


@pytest.fixture
async def video(vps: Vps, owner: Person) -> UUID:
    event = practice_stored(owner)
    assert await told(vps.node, event) == "applied"
    return event.about.video_id


def at(video: UUID, *more: str) -> str:
    return "/".join(["/api/videos", str(video), *more])


async def share(owner: Person, video: UUID, user: Person) -> None:
    done(await owner.put(at(video, "shares", user.username)))


async def unshare(owner: Person, video: UUID, user: Person) -> None:
    done(await owner.delete(at(video, "shares", user.username)), 204)


# --- who may watch ------------------------------------------------------------------------------------------


async def test_it_plays_for_its_owner_admins_and_those_it_is_shared_with(vps: Vps, owner: Person, video: UUID) -> None:
    admin, friend, other = await make_admin(vps), await make_teacher(vps), await make_student(vps, "ali")
    await share(owner, video, friend)
    assert await access(vps, owner, video) == (True, "granted", "owner")
    assert await access(vps, admin, video) == (True, "granted", "review")
    assert await access(vps, friend, video) == (True, "granted", "shared")
    assert await access(vps, other, video) == REFUSED
    answer = done(await vps.node.post(ACCESS, AccessQuestion(user_id=friend.id, generation=0, video_id=video)))
    assert (answer["course_id"], answer["teacher_username"]) == (str(owner.id), "sara")


async def test_a_share_is_of_one_video_and_no_other(vps: Vps, owner: Person, video: UUID) -> None:
    other = practice_stored(owner)
    await told(vps.node, other)
    friend = await make_student(vps, "ali")
    await share(owner, video, friend)
    assert await access(vps, friend, other.about.video_id) == REFUSED


async def test_a_public_one_plays_for_anyone_signed_in_until_it_is_private_again(
    vps: Vps, owner: Person, video: UUID
) -> None:
    friend, other = await make_teacher(vps), await make_student(vps, "ali")
    await share(owner, video, friend)
    done(await owner.patch(at(video), {"is_public": True}))
    assert await access(vps, other, video) == (True, "granted", "public")
    assert await access(vps, friend, video) == (True, "granted", "shared")
    assert await access(vps, other, video, generation=1) == (False, "signed_out", None)
    done(await owner.patch(at(video), {"is_public": False}))
    assert await access(vps, other, video) == REFUSED
    assert await access(vps, friend, video) == (True, "granted", "shared")


async def test_what_is_shared_no_more_plays_no_more_unless_it_is_public(vps: Vps, owner: Person, video: UUID) -> None:
    friend = await make_student(vps, "ali")
    await share(owner, video, friend)
    await unshare(owner, video, friend)
    assert await access(vps, friend, video) == REFUSED
    done(await owner.patch(at(video), {"is_public": True}))
    assert await access(vps, friend, video) == (True, "granted", "public")


async def test_of_somebody_who_was_banned_nothing_plays_but_for_admins_until_they_are_let_in_again(
    vps: Vps, owner: Person, video: UUID
) -> None:
    admin, friend, other = await make_admin(vps), await make_teacher(vps), await make_student(vps, "ali")
    await share(owner, video, friend)
    done(await owner.patch(at(video), {"is_public": True}))
    done(await admin.post(f"/api/admin/users/{owner.id}/ban"))
    for person in (friend, other):
        assert await access(vps, person, video) == REFUSED
        refused(await person.get(at(video)), 404, "video_not_found")
    assert await access(vps, owner, video) == (False, "signed_out", None)
    assert await access(vps, admin, video) == (True, "granted", "review")
    assert await announced(vps, "practice_videos_hidden") == [
        {"kind": "practice_videos_hidden", "course_id": str(owner.id)}
    ]
    done(await admin.post(f"/api/admin/users/{owner.id}/activate"))
    assert await access(vps, friend, video) == (True, "granted", "shared")
    assert await access(vps, other, video) == (True, "granted", "public")


async def test_somebody_it_is_shared_with_who_was_banned_does_not_watch(vps: Vps, owner: Person, video: UUID) -> None:
    admin, friend = await make_admin(vps), await make_student(vps, "ali")
    await share(owner, video, friend)
    done(await admin.post(f"/api/admin/users/{friend.id}/ban"))
    assert await access(vps, friend, video) == (False, "signed_out", None)
    assert await access(vps, friend, video, generation=1) == (False, "signed_out", None)


async def test_a_deleted_one_is_there_for_nobody(vps: Vps, owner: Person, video: UUID) -> None:
    friend = await make_student(vps, "ali")
    await share(owner, video, friend)
    done(await owner.patch(at(video), {"is_public": True}))
    assert await delete_video(vps, owner, video) == (True, None)
    assert await access(vps, friend, video) == REFUSED
    for person in (owner, friend):
        refused(await person.get(at(video)), 404, "video_not_found")
    refused(await owner.put(at(video, "shares", "ali")), 404, "video_not_found")


# --- sharing ------------------------------------------------------------------------------------------------


async def test_sharing_again_and_unsharing_again_change_nothing(vps: Vps, owner: Person, video: UUID) -> None:
    friend = await make_student(vps, "ali")
    first = done(await owner.put(at(video, "shares", "ali")))
    assert (first["username"], first["name"]) == ("ali", "Ali")
    assert done(await owner.put(at(video, "shares", "ALI"))) == first
    about = {"user_id": str(friend.id), "course_id": str(owner.id), "video_id": str(video)}
    assert await announced(vps) == [{"kind": "video_shared", **about}]
    for _ in range(2):
        await unshare(owner, video, friend)
    assert await announced(vps, "video_unshared") == [{"kind": "video_unshared", **about}]


async def test_twenty_shares_at_once_are_one_and_so_are_twenty_ends_of_it(vps: Vps, owner: Person, video: UUID) -> None:
    await make_student(vps, "ali")
    path = at(video, "shares", "ali")
    answers = await asyncio.gather(*(owner.put(path) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    answers = await asyncio.gather(*(owner.delete(path) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {204}
    assert [change["kind"] for change in await announced(vps)] == ["video_shared", "video_unshared"]


async def test_it_is_shared_with_active_users_other_than_oneself(vps: Vps, owner: Person, video: UUID) -> None:
    admin, banned = await make_admin(vps), await make_student(vps, "ali")
    refused(await owner.put(at(video, "shares", "sara")), 409, "cannot_share_with_oneself")
    refused(await owner.put(at(video, "shares", "nobody")), 404, "user_not_found")
    refused(await owner.delete(at(video, "shares", "nobody")), 404, "user_not_found")
    await share(owner, video, banned)
    done(await admin.post(f"/api/admin/users/{banned.id}/ban"))
    refused(await owner.put(at(video, "shares", "ali")), 404, "user_not_found")
    await unshare(owner, video, banned)
    assert done(await owner.get(at(video, "shares")))["items"] == []


async def test_who_is_an_admin_is_not_found_out_by_sharing_with_them(vps: Vps, owner: Person, video: UUID) -> None:
    """They have no public profile either, and look into any practice video as it is."""
    await make_admin(vps)
    for ask in (owner.put, owner.delete):
        never, admin = [await ask(at(video, "shares", name)) for name in ("nobody", "root-admin")]
        assert refused(admin, 404, "user_not_found") | {"request_id": ""} == never.json() | {"request_id": ""}
    assert done(await owner.get(at(video, "shares")))["items"] == []


async def test_its_owner_alone_says_and_sees_whom_it_is_shared_with(vps: Vps, owner: Person, video: UUID) -> None:
    friend, others = await make_student(vps, "ali"), [await make_teacher(vps), await make_admin(vps)]
    await share(owner, video, friend)
    done(await owner.patch(at(video), {"is_public": True}))
    for person in (friend, *others):
        refused(await person.get(at(video, "shares")), 404, "video_not_found")
        refused(await person.put(at(video, "shares", "omar")), 404, "video_not_found")
        refused(await person.delete(at(video, "shares", "ali")), 404, "video_not_found")
        refused(await person.patch(at(video), {"is_public": False}), 404, "video_not_found")
    assert await access(vps, friend, video) == (True, "granted", "shared")


async def test_shares_are_listed_page_by_page(vps: Vps, owner: Person, video: UUID) -> None:
    for name in ("ali", "hany", "mona"):
        await share(owner, video, await make_student(vps, name))
    page = done(await owner.get(at(video, "shares") + "?limit=2"))
    rest = done(await owner.get(at(video, "shares") + f"?limit=2&cursor={page['next']}"))
    assert [item["username"] for item in page["items"] + rest["items"]] == ["ali", "hany", "mona"]
    assert rest["next"] is None
    assert set(page["items"][0]) == {"username", "name", "shared_at"}


async def test_everybody_finds_what_is_shared_with_them_the_last_first_while_they_may_watch_it(
    vps: Vps, owner: Person, video: UUID
) -> None:
    friend, teacher, admin = await make_student(vps, "ali"), await make_teacher(vps), await make_admin(vps)
    others = practice_stored(teacher, status="error", reason="There is no picture in it.")
    await told(vps.node, others)
    await share(owner, video, friend)
    await share(teacher, others.about.video_id, friend)

    async def found(query: str = "") -> Any:
        return done(await friend.get(f"/api/users/me/shared-videos{query}"))

    page = await found("?limit=1")
    rest = await found(f"?limit=1&cursor={page['next']}")
    both = page["items"] + rest["items"]
    assert [one["id"] for one in both] == [str(others.about.video_id), str(video)]
    assert [one["owner"]["username"] for one in both] == ["omar", "sara"]
    assert (both[0]["reason"], rest["next"]) == ("", None)
    assert done(await owner.get("/api/users/me/shared-videos"))["items"] == []
    done(await admin.post(f"/api/admin/users/{teacher.id}/ban"))
    assert [one["id"] for one in (await found())["items"]] == [str(video)]
    await delete_video(vps, owner, video)
    assert (await found())["items"] == []


# --- what is said of it -------------------------------------------------------------------------------------


async def test_whoever_may_watch_it_reads_what_its_owner_says_of_it(vps: Vps, owner: Person, video: UUID) -> None:
    said = {
        "title": "سماعي بياتي",
        "description": "Slowly, with a metronome.",
        "piece_name": "Samai Bayati",
        "composer": "Ibrahim al-Aryan",
        "practice_goals": "The third khana at 60.",
        "is_public": True,
    }
    done(await owner.patch(at(video), said))
    other = await make_student(vps, "ali")
    for person in (owner, other):
        shown = done(await person.get(at(video)))
        assert {name: shown[name] for name in said} == said
        assert shown["owner"] == {"username": "sara", "name": "Sara"}
        assert shown["uri"].startswith(f"http://node-1.test/videos/{video}/stream?after=")
    changed = done(await owner.patch(at(video), {"composer": ""}))
    assert {name: changed[name] for name in said} == said | {"composer": ""}


async def test_before_anything_is_said_it_has_its_title_only_and_is_private(owner: Person, video: UUID) -> None:
    shown = done(await owner.get(at(video)))
    texts = [shown[name] for name in ("title", "description", "piece_name", "composer", "practice_goals")]
    assert (texts, shown["is_public"]) == (["Hijaz, slowly", "", "", "", ""], False)


async def test_its_title_stays_as_its_owner_calls_it_whatever_its_node_tells_later(vps: Vps, owner: Person) -> None:
    event = practice_stored(owner)
    await told(vps.node, event)
    path = at(event.about.video_id)
    done(await owner.patch(path, {"title": "Hijaz"}))
    assert await told(vps.node, again(event, status="error", reason="There is no picture in it.")) == "applied"
    shown = done(await owner.get(path))
    assert (shown["title"], shown["status"], shown["reason"]) == ("Hijaz", "error", "There is no picture in it.")
    done(await owner.patch(path, {"is_public": True}))
    assert done(await (await make_student(vps, "ali")).get(path))["reason"] == ""


@pytest.mark.parametrize(
    "body",
    [
        {"title": ""},
        {"title": " "},
        {"title": "x" * 201},
        {"title": None},
        {"is_public": None},
        {"is_public": "perhaps"},
        {"piece_name": "x" * 201},
        {"composer": "x" * 201},
        {"description": "x" * 5001},
        {"practice_goals": "a\0b"},
        {"owner_id": "019a0000-0000-7000-8000-000000000000"},
        {"status": "ready", "title": "x"},
    ],
)
async def test_a_change_is_taken_whole_or_not_at_all(owner: Person, video: UUID, body: dict[str, Any]) -> None:
    before = done(await owner.get(at(video)))
    refused(await owner.patch(at(video), body), 422, "validation_failed")
    assert done(await owner.get(at(video))) == before


async def test_only_what_changes_who_may_watch_is_announced(vps: Vps, owner: Person, video: UUID) -> None:
    for body in ({"title": "x"}, {"is_public": False}, {"is_public": True}, {"is_public": True}, {"is_public": False}):
        done(await owner.patch(at(video), body))
    change = {"kind": "video_visibility_changed", "course_id": str(owner.id), "video_id": str(video)}
    assert await announced(vps) == [change, change]


async def test_videos_of_lessons_are_none_of_these(vps: Vps) -> None:
    teacher = await make_teacher(vps)
    course = await published_course(vps, teacher)
    film, file = await store_video(vps, course), await store_video(vps, course, video_kind="file", title="a.pdf")
    for some in (film, file, uuid7()):
        refused(await teacher.get(at(some)), 404, "video_not_found")
        refused(await teacher.patch(at(some), {"is_public": True}), 404, "video_not_found")
        refused(await teacher.put(at(some, "shares", "omar")), 404, "video_not_found")
    assert await access(vps, await make_student(vps), film) == (False, "key_required", None)


# --- do we agree? -------------------------------------------------------------------------------------------


async def test_grants_are_compared_with_who_may_watch_now(vps: Vps, owner: Person, video: UUID) -> None:
    private = practice_stored(owner)
    await told(vps.node, private)
    friend, other = await make_student(vps, "ali"), await make_student(vps, "mona")
    await share(owner, video, friend)

    def grant(person: Person, via: str, some: UUID | None = video, course: UUID = owner.id) -> dict[str, Any]:
        return {"user_id": person.id, "course_id": course, "video_id": some, "via": via, "generation": 0}

    async def wrong(*grants: dict[str, Any]) -> Any:
        return done(await vps.node.post(RECONCILE_GRANTS, GrantsHeld.model_validate({"grants": grants})))["wrong"]

    held = [
        grant(owner, "owner", None),
        grant(friend, "shared"),
        grant(friend, "shared", None),
        grant(friend, "shared", private.about.video_id),
        grant(friend, "shared", video, other.id),
        grant(other, "public"),
    ]
    assert await wrong(*held) == [2, 3, 4, 5]
    done(await owner.patch(at(video), {"is_public": True}))
    assert await wrong(*held) == [2, 3, 4]
    await unshare(owner, video, friend)
    done(await owner.patch(at(video), {"is_public": False}))
    assert await wrong(*held) == [1, 2, 3, 4, 5]
    await share(owner, video, friend)
    await vps.rows("UPDATE users SET state = 'banned' WHERE id = :id", id=owner.id)
    assert await wrong(*held) == [0, 1, 2, 3, 4, 5]


@pytest.mark.settings(changes_per_user=3)
async def test_nobody_keeps_nodes_busy_with_changes(vps: Vps, owner: Person, video: UUID) -> None:
    """Each is taken by every node, before any ban that comes after it."""
    other = await make_student(vps, "ali")
    await share(owner, video, other)
    await unshare(owner, video, other)
    done(await owner.patch(at(video), {"is_public": True}))
    for answer in (
        await owner.put(at(video, "shares", "ali")),
        await owner.delete(at(video, "shares", "ali")),
        await owner.patch(at(video), {"is_public": False}),
    ):
        refused(answer, 429, "too_many_requests")
        assert int(answer.headers["retry-after"]) > 0
    done(await owner.get(at(video)))
    refused(await other.patch(at(video), {"is_public": False}), 404, "video_not_found")
