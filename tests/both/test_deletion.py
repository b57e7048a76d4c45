"""Deleting through the Cloud: the VPS agrees, then files, rows and grants go; everything may be repeated."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID, uuid4

import pytest

from shared.contract import DELETIONS, VPS, DeletionQuestion
from shared.service_tokens import Call, ServiceSigner
from shared.tokens import load_private_key
from tests.both.people import (
    Course,
    Person,
    done,
    draft_course,
    enroll,
    make_student,
    make_teacher,
    nobody,
    published_course,
    refused,
)
from tests.both.toptank import TopTank, eventually, settled
from tests.both.wire import upload
from tests.clips import Clips

Published = tuple[Course, str]


@pytest.fixture
def published(toptank: TopTank, teacher: Person, clips: Clips) -> Published:
    return published_course(toptank, teacher, clips.film)


def grants_of(toptank: TopTank, course: Course) -> int:
    return int(toptank.node_sql("SELECT count(*) FROM grants WHERE course_id = ?", course.id)[0][0])


def is_on_disk(toptank: TopTank, teacher: Person, video_id: str) -> bool:
    return (teacher.id, video_id) in toptank.originals


def test_a_deleted_video_is_gone_everywhere(toptank: TopTank, teacher: Person, published: Published) -> None:
    course, video_id = published
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(video_id).status_code == 200
    done(teacher.cloud.delete(f"/videos/{video_id}"), 204)
    refused(viewer.watch(video_id), 404, "video_not_found")
    assert not is_on_disk(toptank, teacher, video_id)
    assert course.video_ids() == [None]
    assert done(viewer.vps.get(f"/courses/{course.id}/key"))["videos"] == []


def test_after_a_deletion_the_lesson_takes_another_video(teacher: Person, published: Published, clips: Clips) -> None:
    course, video_id = published
    done(teacher.cloud.delete(f"/videos/{video_id}"), 204)
    second = done(teacher.upload(course.lesson_id, clips.large), 201)["id"]
    eventually(lambda: course.video_ids() == [second])
    assert teacher.watch(second).content == clips.large


def test_the_key_opens_the_video_that_replaced_another(
    toptank: TopTank, teacher: Person, published: Published, clips: Clips
) -> None:
    course, first = published
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(first).status_code == 200
    done(teacher.cloud.delete(f"/videos/{first}"), 204)
    second = done(teacher.upload(course.lesson_id, clips.film), 201)["id"]
    assert viewer.watch(second).status_code == 200


def test_a_deleted_course_is_gone_and_its_keys_are_receipts(
    toptank: TopTank, teacher: Person, published: Published, clips: Clips
) -> None:
    course, first = published
    second = done(teacher.upload(course.add_lesson(), clips.film), 201)["id"]
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(first).status_code == viewer.watch(second).status_code == 200
    assert grants_of(toptank, course) == 2
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)
    assert grants_of(toptank, course) == 0
    for video_id in (first, second):
        assert not is_on_disk(toptank, teacher, video_id)
        for person in (viewer, teacher):
            refused(person.watch(video_id), 404, "video_not_found")
    assert [key["status"] for key in done(viewer.vps.get("/keys"))["items"]] == ["void"]
    refused(viewer.vps.get(f"/courses/{course.id}"), 404, "course_not_found")


@pytest.mark.parametrize("kind", ["videos", "courses"])
def test_deleting_again_agrees_again(teacher: Person, published: Published, kind: str) -> None:
    course, video_id = published
    path = f"/{kind}/{video_id if kind == 'videos' else course.id}"
    for _ in range(3):
        done(teacher.cloud.delete(path), 204)


@pytest.mark.parametrize("kind", ["videos", "courses"])
def test_deleting_in_parallel_has_one_effect(teacher: Person, published: Published, kind: str) -> None:
    course, video_id = published
    path = f"/{kind}/{video_id if kind == 'videos' else course.id}"
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: teacher.cloud.delete(path).status_code, range(8))) == {204}


def test_only_its_teacher_deletes(toptank: TopTank, teacher: Person, published: Published, clips: Clips) -> None:
    course, video_id = published
    student, other = make_student(toptank), make_teacher(toptank)
    enroll(student, course)
    refused(student.cloud.delete(f"/videos/{video_id}"), 404, "video_not_found")
    refused(other.cloud.delete(f"/videos/{video_id}"), 404, "video_not_found")
    refused(student.cloud.delete(f"/courses/{course.id}"), 403, "deletion_not_allowed")
    refused(other.cloud.delete(f"/courses/{course.id}"), 404, "course_not_found")
    for path in (f"/videos/{video_id}", f"/courses/{course.id}"):
        refused(nobody(toptank).cloud.delete(path), 401, "not_authenticated")
    assert student.watch(video_id).content == clips.film


def test_another_teacher_cannot_delete_what_is_deleted(toptank: TopTank, teacher: Person, published: Published) -> None:
    course, video_id = published
    other = make_teacher(toptank)
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)
    refused(other.cloud.delete(f"/videos/{video_id}"), 404, "video_not_found")
    refused(other.cloud.delete(f"/courses/{course.id}"), 404, "course_not_found")


def test_what_never_was_cannot_be_deleted(teacher: Person) -> None:
    refused(teacher.cloud.delete(f"/videos/{uuid4()}"), 404, "video_not_found")
    refused(teacher.cloud.delete(f"/courses/{uuid4()}"), 404, "course_not_found")


def test_a_course_deleted_on_the_vps_alone_gives_its_files_back_too(
    toptank: TopTank, teacher: Person, published: Published
) -> None:
    course, video_id = published
    done(teacher.vps.delete(f"/courses/{course.id}"), 204)
    eventually(lambda: not is_on_disk(toptank, teacher, video_id), within_s=2)
    eventually(lambda: not toptank.node_sql("SELECT 1 FROM videos WHERE id = ?", video_id), within_s=2)
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)


def test_a_deletion_whose_answer_never_came_is_heard_of_through_the_feed(
    toptank: TopTank, teacher: Person, published: Published, clips: Clips
) -> None:
    """The VPS agreed, and the connection to the node was lost: the same call, made by a node that is deaf."""
    course, video_id = published
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(video_id).status_code == 200
    agreed_unheard(toptank, teacher, video_id)
    eventually(lambda: viewer.watch(video_id).status_code == 404, within_s=2)
    eventually(lambda: not is_on_disk(toptank, teacher, video_id), within_s=2)
    assert toptank.node_sql("SELECT 1 FROM videos WHERE id = ?", video_id) == []
    second = done(teacher.upload(course.lesson_id, clips.large), 201)["id"]
    eventually(lambda: course.video_ids() == [second])
    assert viewer.watch(second).content == clips.large
    done(teacher.cloud.delete(f"/videos/{video_id}"), 204)
    assert viewer.watch(second).status_code == 200


def agreed_unheard(toptank: TopTank, teacher: Person, video_id: str) -> None:
    signer = ServiceSigner("node-1", load_private_key((toptank.secrets / "node_key").read_text()))
    asked = DeletionQuestion(user_id=UUID(teacher.id), generation=0, video_id=UUID(video_id))
    question = asked.model_dump_json().encode()
    token, _ = signer.call(VPS, Call("POST", DELETIONS, question))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    answer = done(toptank.http.post(f"{toptank.vps.url}{DELETIONS}", content=question, headers=headers))
    assert answer["agreed"]


def test_a_course_deleted_during_an_upload_keeps_nothing_of_it(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course = draft_course(toptank, teacher)
    with upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.film)) as wire:
        wire.send(clips.film[:-1])
        eventually(lambda: toptank.scratch)
        done(teacher.cloud.delete(f"/courses/{course.id}"), 204)
        answer = wire.send(clips.film[-1:]).answer()
    assert (answer.status, b"lesson_not_found" in answer.body) == (404, True)
    toptank.check_nothing_left_over()


def deletes(teacher: Person, course: Course) -> bool:
    answer = teacher.cloud.delete(f"/courses/{course.id}")
    assert answer.status_code in (204, 503)
    return answer.status_code == 204


def test_a_deletion_against_finishing_uploads_leaves_nothing(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    """Whichever comes first, no file, row, grant or announcement of the course stays. Where the VPS has too much to
    do to answer in time, a teacher asks again."""
    courses = [draft_course(toptank, teacher) for _ in range(6)]
    with ThreadPoolExecutor(12) as pool:
        uploads = [pool.submit(teacher.upload, course.lesson_id, clips.film) for course in courses]
        deletions = [pool.submit(eventually, partial(deletes, teacher, course)) for course in courses]
        assert all(deletion.result() for deletion in deletions)
        assert {one.result().status_code for one in uploads} <= {201, 404, 503}
    eventually(lambda: not toptank.node_sql("SELECT * FROM outbox"))
    ids = [course.id for course in courses]
    eventually(lambda: not toptank.node_sql(f"SELECT id FROM videos WHERE course_id IN ({'?, ' * 5}?)", *ids))
    assert [grants_of(toptank, course) for course in courses] == [0] * 6
    live = toptank.sql("SELECT id FROM videos WHERE course_id = ANY(%s::uuid[]) AND deleted_at IS NULL", ids)
    assert all(course_is_deleted(toptank, course) for course in courses) or live == []
    settled(toptank.check_nothing_left_over)


def course_is_deleted(toptank: TopTank, course: Course) -> bool:
    return toptank.sql("SELECT deleted_at IS NOT NULL FROM courses WHERE id = %s", course.id) == [(True,)]


@pytest.mark.parametrize("kind", ["videos", "courses"])
def test_a_video_is_deleted_while_its_announcement_still_waits(
    toptank: TopTank, teacher: Person, clips: Clips, kind: str
) -> None:
    course = draft_course(toptank, teacher)
    with upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.film)) as wire:
        wire.send(clips.film[:-1])
        eventually(lambda: toptank.scratch)
        toptank.vps.kill()
        assert wire.send(clips.film[-1:]).answer().status == 201
    ((video_id,),) = toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id)
    assert toptank.node_sql("SELECT count(*) FROM outbox") == [(1,)]
    path = f"/{kind}/{video_id if kind == 'videos' else course.id}"
    refused(teacher.cloud.delete(path), 503, "vps_unreachable")
    assert teacher.watch(video_id).content == clips.film
    toptank.vps.start()
    done(teacher.cloud.delete(path), 204)
    assert not is_on_disk(toptank, teacher, video_id)
    assert toptank.node_sql("SELECT * FROM outbox") == []


def test_a_deletion_that_the_node_did_not_live_to_finish_is_finished_by_asking_again(
    toptank: TopTank, teacher: Person, published: Published, clips: Clips
) -> None:
    """The VPS had agreed; viewers are refused meanwhile."""
    course, video_id = published
    viewer = make_student(toptank)
    enroll(viewer, course)
    assert viewer.watch(video_id).status_code == 200
    toptank.cloud.kill()
    done(teacher.vps.delete(f"/courses/{course.id}"), 204)
    toptank.cloud.start()
    eventually(lambda: viewer.watch(video_id).status_code == 404, within_s=2)
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)
    assert not is_on_disk(toptank, teacher, video_id)
