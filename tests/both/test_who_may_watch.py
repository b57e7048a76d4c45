"""Keys, owners, admins, previews and strangers, against every state of a course."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from shared.tokens import load_private_key, sign_access
from tests.both.people import (
    Course,
    Person,
    done,
    draft_course,
    enroll,
    make_admin,
    make_student,
    make_teacher,
    nobody,
    published_course,
    refused,
    with_token,
)
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire
from tests.clips import Clips, padded


@pytest.fixture(scope="module")
def published(toptank: TopTank, teacher: Person, clips: Clips) -> tuple[Course, str]:
    return published_course(toptank, teacher, clips.film)


def test_a_key_opens_its_own_course_and_no_other(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    courses = [published_course(toptank, teacher, clips.film) for _ in range(2)]
    viewers = [make_student(toptank) for _ in courses]
    for viewer, (course, _) in zip(viewers, courses, strict=True):
        enroll(viewer, course)
    for number, viewer in enumerate(viewers):
        for other, (_, video_id) in enumerate(courses):
            if number == other:
                assert viewer.watch(video_id).status_code == 200
            else:
                refused(viewer.watch(video_id), 403, "key_required")


def test_one_key_opens_every_lesson_of_its_course(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, first = published_course(toptank, teacher, clips.film)
    second = done(teacher.upload(course.add_lesson(), clips.film), 201)["id"]
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(first).status_code == 200
    asked = len(toptank.vps.requests("/internal/access"))
    assert viewer.watch(second).status_code == 200
    assert len(toptank.vps.requests("/internal/access")) == asked


def test_a_key_bought_after_a_refusal_opens_at_once(toptank: TopTank, published: tuple[Course, str]) -> None:
    """At the address that comes with it; at a bare one, once the node has heard of the key."""
    course, video_id = published
    for with_address in (True, False):
        viewer = make_student(toptank)
        refused(viewer.watch(video_id), 403, "key_required")
        enroll(viewer, course)
        if with_address:
            (link,) = done(viewer.vps.get(f"/courses/{course.id}/key"))["videos"]
            assert viewer.watch_at(link["uri"]).status_code == 200
        else:
            eventually(lambda viewer=viewer: viewer.watch(video_id).status_code == 200, within_s=2)  # type: ignore[misc]


def test_nobody_watches_without_a_token(toptank: TopTank, published: tuple[Course, str]) -> None:
    response = nobody(toptank).watch(published[1])
    refused(response, 401, "not_authenticated")
    assert response.headers["www-authenticate"] == "Bearer"


def test_the_owner_watches_without_asking(toptank: TopTank, teacher: Person, published: tuple[Course, str]) -> None:
    asked = len(toptank.vps.requests("/internal/access"))
    assert teacher.watch(published[1]).status_code == 200
    assert len(toptank.vps.requests("/internal/access")) == asked


def test_another_teacher_does_not_watch(toptank: TopTank, published: tuple[Course, str]) -> None:
    refused(make_teacher(toptank).watch(published[1]), 403, "key_required")


def test_an_unpublished_course_plays_for_its_teacher_and_admins_only(toptank: TopTank, clips: Clips) -> None:
    teacher, admin, stranger = make_teacher(toptank), make_admin(toptank), make_student(toptank)
    course = draft_course(toptank, teacher)
    video_id = done(teacher.upload(course.lesson_id, clips.film), 201)["id"]
    eventually(lambda: course.video_ids() == [video_id])
    assert teacher.watch(video_id).status_code == 200
    assert admin.watch(video_id).status_code == 200
    refused(stranger.watch(video_id), 404, "video_not_found")


def test_a_preview_is_open_to_anyone_signed_in_and_opens_nothing_else(
    toptank: TopTank, teacher: Person, clips: Clips
) -> None:
    course, paid = published_course(toptank, teacher, clips.film)
    lesson_id = course.add_lesson(preview=True)
    preview = done(teacher.upload(lesson_id, clips.film), 201)["id"]
    eventually(lambda: course.video_ids() == [paid, preview])
    stranger = make_student(toptank)
    assert stranger.watch(preview).status_code == 200
    refused(stranger.watch(paid), 403, "key_required")
    refused(nobody(toptank).watch(preview), 401, "not_authenticated")


def test_a_preview_of_an_unpublished_course_is_closed(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course = draft_course(toptank, teacher)
    lesson_id = course.add_lesson(preview=True)
    preview = done(teacher.upload(lesson_id, clips.film), 201)["id"]
    eventually(lambda: preview in course.video_ids())
    refused(make_student(toptank).watch(preview), 404, "video_not_found")


def test_an_account_that_is_gone_is_signed_out(toptank: TopTank, published: tuple[Course, str]) -> None:
    banned = make_student(toptank)
    toptank.sql("UPDATE users SET state = 'banned' WHERE id = %s", banned.id)
    refused(banned.watch(published[1]), 401, "not_authenticated")


def test_a_deleted_course_is_refused_through_the_feed(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    """The VPS alone is asked; the node hears of it."""
    course, video_id = published_course(toptank, teacher, clips.film)
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(video_id).status_code == 200
    done(teacher.vps.delete(f"/courses/{course.id}"), 204)
    eventually(lambda: viewer.watch(video_id).status_code == 404, within_s=2)
    refused(teacher.watch(video_id), 404, "video_not_found")
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)


def test_a_right_that_ends_cuts_a_download_in_the_middle(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    large = padded(clips.film, 24 * 2**20)
    course, video_id = published_course(toptank, teacher, large)
    viewer = make_student(toptank)
    enroll(viewer, course)
    with Wire(toptank.cloud.url) as wire:
        wire.request("GET", f"/videos/{video_id}/stream", {"Authorization": f"Bearer {viewer.token}"})
        response = wire.headers()
        assert (response.status, response.getheader("content-length")) == (200, str(len(large)))
        got = len(response.read(2**20))
        done(teacher.vps.delete(f"/courses/{course.id}"), 204)
        eventually(lambda: viewer.watch(video_id, Range="bytes=0-0").status_code == 404, within_s=2)
        while block := response.read1(2**20):
            got += len(block)
    assert got < len(large) / 2
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)


def token_for(toptank: TopTank, person: Person, role: str, life_s: int) -> Person:
    """The same person with another token, as the VPS would sign it."""
    key = load_private_key((toptank.secrets / "access_key").read_text())
    token = sign_access(key, UUID(person.id), person.username, role, life_s)
    return with_token(toptank, person.id, person.username, token)


def test_a_role_in_a_token_opens_nothing_by_itself(toptank: TopTank, published: tuple[Course, str]) -> None:
    """An account that never was, a role that was taken away: the VPS's word counts."""
    ghost = replace(make_student(toptank), id=str(uuid4()))
    refused(token_for(toptank, ghost, "admin", 60).watch(published[1]), 401, "not_authenticated")
    former = token_for(toptank, make_student(toptank), "admin", 60)
    refused(former.watch(published[1]), 403, "key_required")
