"""Whatever ends a right, somebody who is watching stops watching on the node, within seconds; and nobody else does."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.both.people import (
    PASSWORD,
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
    signed_in,
)
from tests.both.playing import link_of
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips

BOUND_S = 2.0
PRICE = 25_000


@dataclass(frozen=True)
class Scene:
    """A free course with a film and a preview; two students who watch, and an admin."""

    toptank: TopTank
    admin: Person
    course: Course
    film: str
    preview: str
    viewer: Person
    other: Person


@pytest.fixture(scope="module")
def admin(toptank: TopTank) -> Person:
    return make_admin(toptank)


@pytest.fixture
def scene(toptank: TopTank, teacher: Person, admin: Person, clips: Clips) -> Scene:
    course, film = published_course(toptank, teacher, clips.film)
    preview = done(teacher.upload(course.add_lesson(preview=True), clips.film), 201)["id"]
    eventually(lambda: course.video_ids() == [film, preview])
    viewer, other = make_student(toptank), make_student(toptank)
    for student in (viewer, other):
        enroll(student, course)
        assert student.watch(film).status_code == 200
    return Scene(toptank, admin, course, film, preview, viewer, other)


def stops(who: Person, video_id: str, status: int) -> None:
    """Within the bound, and for good."""
    eventually(lambda: who.watch(video_id).status_code == status, within_s=BOUND_S)
    assert [who.watch(video_id).status_code for _ in range(3)] == [status] * 3


def sign_in(toptank: TopTank, person: Person) -> Person:
    login = {"login": person.username, "password": PASSWORD}
    return signed_in(toptank, done(nobody(toptank).vps.post("/auth/login", json=login)))


def test_signing_out_everywhere_ends_watching_until_one_signs_in_again(scene: Scene, clips: Clips) -> None:
    done(scene.viewer.vps.delete("/auth/sessions"), 204)
    stops(scene.viewer, scene.film, 401)
    again = sign_in(scene.toptank, scene.viewer)
    assert again.watch(scene.film).content == clips.film
    refused(scene.viewer.watch(scene.film), 401, "not_authenticated")
    refused(scene.viewer.cloud.get("/uploads/permission"), 401, "not_authenticated")
    assert scene.other.watch(scene.film).status_code == 200


def test_signing_out_on_one_device_ends_watching_there_and_nowhere_else(scene: Scene, clips: Clips) -> None:
    phone, laptop = scene.viewer, sign_in(scene.toptank, scene.viewer)
    assert laptop.watch(scene.film).status_code == 200
    links = [link_of(scene.toptank, one, scene.film) for one in (phone, laptop)]
    assert [link.follow().status for link in links] == [200, 200]
    (there,) = [one for one in done(laptop.vps.get("/auth/sessions"))["items"] if not one["is_current"]]
    done(laptop.vps.delete(f"/auth/sessions/{there['id']}"), 204)
    eventually(lambda: links[0].follow().status == 410, within_s=BOUND_S)
    stops(phone, scene.film, 401)
    assert laptop.watch(scene.film).content == clips.film
    assert links[1].follow().status == 200
    assert scene.other.watch(scene.film).status_code == 200
    again = sign_in(scene.toptank, phone)
    assert again.watch(scene.film).status_code == 200
    refused(phone.cloud.get("/uploads/permission"), 401, "not_authenticated")


def test_once_a_new_token_was_let_in_the_old_one_needs_no_question(scene: Scene) -> None:
    """Also while the VPS is away."""
    done(scene.viewer.vps.delete("/auth/sessions"), 204)
    stops(scene.viewer, scene.film, 401)
    again = sign_in(scene.toptank, scene.viewer)
    assert again.watch(scene.film).status_code == 200
    scene.toptank.vps.freeze()
    try:
        refused(scene.viewer.watch(scene.film), 401, "not_authenticated")
        assert again.watch(scene.film).status_code == 200
    finally:
        scene.toptank.vps.thaw()


def test_a_ban_ends_watching_and_being_let_in_again_takes_a_new_token(scene: Scene, clips: Clips) -> None:
    done(scene.admin.vps.post(f"/admin/users/{scene.viewer.id}/ban"))
    stops(scene.viewer, scene.film, 401)
    asked = len(scene.toptank.vps.requests("/internal/access"))
    stops(scene.viewer, scene.film, 401)
    assert len(scene.toptank.vps.requests("/internal/access")) == asked  # a client that goes on is no burden to the VPS
    done(scene.admin.vps.post(f"/admin/users/{scene.viewer.id}/activate"))
    again = sign_in(scene.toptank, scene.viewer)
    assert again.watch(scene.film).content == clips.film
    refused(scene.viewer.watch(scene.film), 401, "not_authenticated")
    assert scene.other.watch(scene.film).status_code == 200


def test_who_was_banned_and_is_let_in_again_uses_the_node_again(toptank: TopTank, admin: Person, clips: Clips) -> None:
    teacher = make_teacher(toptank)
    course = draft_course(toptank, teacher)
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    done(admin.vps.post(f"/admin/users/{teacher.id}/ban"))
    eventually(lambda: teacher.cloud.get("/uploads/permission").status_code == 401, within_s=BOUND_S)
    login = {"login": teacher.username, "password": PASSWORD}
    refused(nobody(toptank).vps.post("/auth/login", json=login), 401, "bad_credentials")
    done(admin.vps.post(f"/admin/users/{teacher.id}/activate"))
    again = sign_in(toptank, teacher)
    assert done(again.cloud.get("/uploads/permission"))["allowed"]
    done(again.upload(course.lesson_id, clips.film), 201)
    refused(teacher.cloud.get("/uploads/permission"), 401, "not_authenticated")


def test_another_role_takes_a_new_token_and_a_teachers_rights_go_with_the_old_one(
    toptank: TopTank, admin: Person, clips: Clips
) -> None:
    teacher = make_teacher(toptank)
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    done(admin.vps.put(f"/admin/users/{teacher.id}/role", json={"role": "student"}))
    eventually(lambda: teacher.cloud.get("/uploads/permission").status_code == 401, within_s=BOUND_S)
    refused(teacher.cloud.post("/videos?kind=practice&title=Scales", content=clips.film), 401, "not_authenticated")
    refused(teacher.vps.get("/auth/me"), 401, "not_authenticated")
    student = sign_in(toptank, teacher)
    assert done(student.vps.get("/auth/me"))["role"] == "student"
    assert not done(student.cloud.get("/uploads/permission"))["allowed"]
    done(student.cloud.post("/videos?kind=practice&title=Scales", content=clips.film), 201)


def test_a_free_key_that_is_taken_away_ends_watching(scene: Scene) -> None:
    key = done(scene.viewer.vps.get(f"/courses/{scene.course.id}/key"))["key"]
    done(scene.admin.vps.post(f"/admin/keys/{key['id']}/void"))
    stops(scene.viewer, scene.film, 403)
    assert scene.viewer.watch(scene.preview).status_code == 200
    assert scene.other.watch(scene.film).status_code == 200


def test_a_refund_ends_watching(toptank: TopTank, teacher: Person, admin: Person, clips: Clips) -> None:
    toptank.simulator.start()
    course = draft_course(toptank, teacher, amount=PRICE)
    film = done(teacher.upload(course.lesson_id, clips.film), 201)["id"]
    course.publish()
    eventually(lambda: course.video_ids() == [film])
    buyer, other = make_student(toptank), make_student(toptank)
    payment, _ = [bought(toptank, one, course) for one in (buyer, other)]
    for one in (buyer, other):
        assert one.watch(film).status_code == 200
    done(admin.vps.post(f"/admin/payments/{payment}/refund"))
    stops(buyer, film, 403)
    assert other.watch(film).status_code == 200
    toptank.simulator.stop()


def bought(toptank: TopTank, buyer: Person, course: Course) -> str:
    asked = buyer.vps.post("/payments", json={"course_id": course.id, "provider": "simulator"})
    payment = done(asked, 201)
    assert toptank.http.post(f"{payment['action']['url']}/paid").status_code == 303
    (link,) = done(buyer.vps.post(f"/payments/{payment['id']}/verify"))["videos"]
    assert buyer.watch_at(link["uri"]).status_code == 200
    return str(payment["id"])


END_PREVIEWS: dict[str, tuple[Callable[[Scene], None], int]] = {
    "the course is taken out of the shop": (
        lambda scene: done(scene.admin.vps.post(f"/admin/courses/{scene.course.id}/unpublish")),
        404,
    ),
    "the lesson is made an ordinary one": (
        lambda scene: done(
            scene.course.teacher.vps.patch(f"/lessons/{scene.course.lessons[1]}", json={"is_preview": False})
        ),
        403,
    ),
}
"""And what a stranger is answered from then on."""


@pytest.mark.parametrize("end", END_PREVIEWS)
def test_a_preview_that_is_none_any_more_is_for_those_with_a_key(scene: Scene, end: str) -> None:
    stranger = make_student(scene.toptank)
    assert stranger.watch(scene.preview).status_code == 200
    end_it, refusal = END_PREVIEWS[end]
    end_it(scene)
    stops(stranger, scene.preview, refusal)
    assert scene.viewer.watch(scene.preview).status_code == 200
    assert scene.viewer.watch(scene.film).status_code == 200


def test_a_lesson_that_becomes_a_preview_is_open_at_once_to_whom_it_was_refused(scene: Scene) -> None:
    stranger = make_student(scene.toptank)
    refused(stranger.watch(scene.film), 403, "key_required")
    done(scene.course.teacher.vps.patch(f"/lessons/{scene.course.lesson_id}", json={"is_preview": True}))
    eventually(lambda: stranger.watch(scene.film).status_code == 200, within_s=BOUND_S)


def test_a_demoted_teacher_uploads_nothing_more(toptank: TopTank, admin: Person, clips: Clips) -> None:
    teacher = make_teacher(toptank)
    course = draft_course(toptank, teacher)
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    done(admin.vps.post(f"/admin/teachers/{teacher.username}/demote"))
    refused(teacher.upload(course.lesson_id, clips.film), 403, "upload_not_allowed")
    eventually(lambda: not done(teacher.cloud.get("/uploads/permission"))["allowed"], within_s=BOUND_S)
    assert toptank.node_sql("SELECT 1 FROM videos WHERE course_id = ?", course.id) == []
