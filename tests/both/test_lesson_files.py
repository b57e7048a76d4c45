"""Files of lessons and captions of videos on the real two services: for whom, how they are sent, what is refused."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest

from tests.both.people import (
    Course,
    Person,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    nobody,
    refused,
)
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Wire
from tests.clips import Clips
from tests.documents import EXCEL, GOOD, PDF, hostile, office

LIMIT = 2**20
SETTINGS = {"TOPTANK_FILE_BYTES": str(LIMIT)}
HOSTILE = hostile()
SRT = "1\n00:00:00,100 --> 00:00:00,900\nأهلا <script>alert(1)</script>\n".encode()


def send(who: Person, lesson_id: str, content: object, name: str = "notes.pdf", **headers: str) -> httpx.Response:
    named = {header.replace("_", "-"): value for header, value in headers.items()}
    return who.cloud.post(f"/files?lesson_id={lesson_id}&name={quote(name)}", content=content, headers=named)


def added(toptank: TopTank, course: Course, lesson_id: str, content: bytes = PDF, name: str = "notes.pdf") -> str:
    """The id of a file that the VPS has heard of."""
    file_id = str(done(send(course.teacher, lesson_id, content, name), 201)["id"])
    eventually(lambda: toptank.sql("SELECT 1 FROM videos WHERE id = %s", file_id))
    return file_id


@dataclass(frozen=True)
class Scene:
    """A course with a price: a lesson with a film and a file, and a preview with a file."""

    course: Course
    film: str
    paid: str
    preview: str
    people: dict[str, Person]


@pytest.fixture(scope="module")
def scene(toptank: TopTank, teacher: Person, clips: Clips) -> Iterator[Scene]:
    toptank.simulator.start()
    course = draft_course(toptank, teacher, amount=25_000)
    film = done(teacher.upload(course.lesson_id, clips.film), 201)["id"]
    course.publish()
    paid = added(toptank, course, course.lesson_id)
    preview = added(toptank, course, course.add_lesson(preview=True))
    admin, buyer, refunded = make_admin(toptank), make_student(toptank), make_student(toptank)
    people = {
        "nobody": nobody(toptank),
        "stranger": make_student(toptank),
        "another teacher": make_teacher(toptank),
        "buyer": buyer,
        "ex-buyer": refunded,
        "owner": teacher,
        "admin": admin,
    }
    payments = [buy(toptank, one, course)["payment"]["id"] for one in (buyer, refunded)]
    done(refunded.cloud.get(f"/videos/{film}"))
    done(admin.vps.post(f"/admin/payments/{payments[1]}/refund"))
    eventually(lambda: refunded.watch(film).status_code == 403)
    yield Scene(course, film, paid, preview, people)
    toptank.simulator.stop()


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


# --- who ----------------------------------------------------------------------------------------------------

WHO = {
    "nobody": (401, 401),
    "stranger": (403, 200),
    "another teacher": (403, 200),
    "buyer": (200, 200),
    "ex-buyer": (403, 200),
    "owner": (200, 200),
    "admin": (200, 200),
}


@pytest.mark.parametrize("who", WHO)
def test_a_file_is_for_those_who_may_watch_its_lesson(scene: Scene, who: str) -> None:
    person = scene.people[who]
    for file_id, status in zip((scene.paid, scene.preview), WHO[who], strict=True):
        for method in ("GET", "HEAD"):
            assert person.cloud.send(method, f"/files/{file_id}").status_code == status, (method, file_id)


@pytest.mark.parametrize("who", [who for who in WHO if who not in ("nobody", "owner")])
def test_only_its_teacher_adds_and_deletes_files(scene: Scene, who: str) -> None:
    person = scene.people[who]
    refused(person.cloud.delete(f"/files/{scene.paid}"), 404, "file_not_found")
    answer = send(person, scene.course.lesson_id, PDF)
    assert (answer.status_code, answer.json()["code"]) in ((403, "upload_not_allowed"), (404, "lesson_not_found"))
    assert scene.people["owner"].cloud.get(f"/files/{scene.paid}").status_code == 200


def test_a_refund_ends_a_file_too(toptank: TopTank, scene: Scene) -> None:
    buyer = make_student(toptank)
    payment = buy(toptank, buyer, scene.course)["payment"]["id"]
    assert buyer.cloud.get(f"/files/{scene.paid}").content == PDF
    done(scene.people["admin"].vps.post(f"/admin/payments/{payment}/refund"))
    eventually(lambda: buyer.cloud.get(f"/files/{scene.paid}").status_code == 403, within_s=2)


def test_a_file_of_a_lesson_that_is_no_preview_any_more_is_closed_to_strangers(toptank: TopTank, scene: Scene) -> None:
    stranger, lesson_id = make_student(toptank), scene.course.add_lesson(preview=True)
    file_id = added(toptank, scene.course, lesson_id)
    assert stranger.cloud.get(f"/files/{file_id}").status_code == 200
    done(scene.course.teacher.vps.patch(f"/lessons/{lesson_id}", json={"is_preview": False}))
    eventually(lambda: stranger.cloud.get(f"/files/{file_id}").status_code == 403, within_s=2)
    assert scene.people["buyer"].cloud.get(f"/files/{file_id}").status_code == 200


def test_files_and_videos_are_not_found_in_each_others_place(scene: Scene) -> None:
    owner = scene.people["owner"]
    for method in ("GET", "DELETE"):
        refused(owner.cloud.send(method, f"/videos/{scene.paid}"), 404, "video_not_found")
        refused(owner.cloud.send(method, f"/files/{scene.film}"), 404, "file_not_found")
    refused(owner.watch(scene.paid), 404, "video_not_found")
    for who in ("owner", "admin"):
        refused(scene.people[who].cloud.get(f"/videos/{scene.paid}/processing"), 404, "video_not_found")
    refused(owner.cloud.get(f"/files/{uuid4()}"), 404, "file_not_found")
    assert owner.watch(scene.film).status_code == owner.cloud.get(f"/files/{scene.paid}").status_code == 200


# --- how ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_sent_as_it_came_and_only_to_be_saved(teacher: Person, course: Course, name: str) -> None:
    content, media_type = GOOD[name]
    response = send(teacher, course.lesson_id, content, name="الدرس")
    told = done(response, 201)
    assert response.headers["location"] == f"/files/{told['id']}"
    assert (told["media_type"], told["size"]) == (media_type, len(content))
    assert (told["lesson_id"], told["course_id"]) == (course.lesson_id, course.id)
    assert told["sha256"] == hashlib.sha256(content).hexdigest()
    ending = name.partition("-")[0]
    assert told["name"] == f"الدرس.{ending}"
    for answer in (teacher.cloud.get(f"/files/{told['id']}"), teacher.cloud.send("HEAD", f"/files/{told['id']}")):
        headers = answer.headers
        assert headers["content-type"] == media_type
        assert headers["content-length"] == str(len(content))
        spelled = quote(told["name"], safe="")
        assert headers["content-disposition"] == f"attachment; filename=\"file.{ending}\"; filename*=UTF-8''{spelled}"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert headers["cache-control"].startswith("private")
        assert len(headers.get_list("x-request-id")) == 1
    assert teacher.cloud.get(f"/files/{told['id']}").content == content


def test_a_file_is_sent_by_ranges_and_not_again(teacher: Person, course: Course) -> None:
    file_id = done(send(teacher, course.lesson_id, PDF), 201)["id"]
    part = teacher.cloud.get(f"/files/{file_id}", headers={"Range": "bytes=5-7"})
    assert (part.status_code, part.content) == (206, PDF[5:8])
    assert part.headers["content-disposition"].startswith("attachment")
    known = teacher.cloud.get(f"/files/{file_id}", headers={"If-None-Match": part.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    beyond = teacher.cloud.get(f"/files/{file_id}", headers={"Range": f"bytes={len(PDF)}-"})
    refused(beyond, 416, "range_not_satisfiable")


def test_a_lesson_takes_many_files_besides_its_video_also_at_once(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: send(teacher, course.lesson_id, PDF, f"{number}.pdf"), range(4)))
    assert len({done(answer, 201)["id"] for answer in answers}) == 4
    video = done(teacher.upload(course.lesson_id, clips.film), 201)
    eventually(lambda: course.video_ids() == [video["id"]])


def test_a_file_that_is_sent_again_with_its_key_is_stored_once(
    toptank: TopTank, teacher: Person, course: Course
) -> None:
    first, again = (send(teacher, course.lesson_id, PDF, Idempotency_Key="a file") for _ in range(2))
    assert done(first, 201) == done(again, 201)
    refused(send(teacher, course.lesson_id, PDF, "other.pdf", Idempotency_Key="a file"), 422, "idempotency_key_reused")
    assert len(toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id)) == 1


def test_a_deleted_file_is_gone_on_both_sides(toptank: TopTank, teacher: Person, course: Course) -> None:
    file_id, other = (added(toptank, course, course.lesson_id) for _ in range(2))
    done(teacher.cloud.delete(f"/files/{file_id}"), 204)
    refused(teacher.cloud.get(f"/files/{file_id}"), 404, "file_not_found")
    assert teacher.cloud.get(f"/files/{other}").status_code == 200
    assert not [video for _, video in toptank.originals if video == file_id]
    assert toptank.sql("SELECT 1 FROM videos WHERE id = %s AND deleted_at IS NOT NULL", file_id)
    done(teacher.cloud.delete(f"/courses/{course.id}"), 204)
    refused(teacher.cloud.get(f"/files/{other}"), 404, "file_not_found")


# --- what is refused ------------------------------------------------------------------------------------------


def test_what_is_no_document_is_refused_with_a_reason_and_leaves_nothing(
    toptank: TopTank, teacher: Person, course: Course
) -> None:
    """Whatever its name and its content type say."""
    for name, content in HOSTILE.items():
        answer = send(teacher, course.lesson_id, content, "notes.pdf", Content_Type="application/pdf")
        if len(content) <= LIMIT:
            assert refused(answer, 415, "not_a_document")["detail"], name
        else:
            assert answer.status_code in (413, 415), name
    assert toptank.scratch == []
    assert toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id) == []


def test_a_name_may_be_as_long_as_it_may(toptank: TopTank, course: Course) -> None:
    """The VPS has room for it too."""
    added(toptank, course, course.lesson_id, name="ع" * 200)


@pytest.mark.parametrize("name", ["", "a\r\nSet-Cookie: x=1", "a\0.pdf", "fdp.\u202eexe", "..", "a" * 201, "ع" * 3000])
def test_a_name_that_could_deceive_is_refused(toptank: TopTank, teacher: Person, course: Course, name: str) -> None:
    refused(send(teacher, course.lesson_id, PDF, name), 422, "invalid_name")
    assert toptank.scratch == []


@pytest.mark.parametrize(
    "name", ["../../../../tmp/slipped", "..\\slipped", "/tmp/slipped", "%2e%2e%2fslipped", 'a";x="']
)
def test_a_name_is_never_a_path_nor_a_header(toptank: TopTank, teacher: Person, course: Course, name: str) -> None:
    file_id = done(send(teacher, course.lesson_id, PDF, name), 201)["id"]
    disposition = teacher.cloud.get(f"/files/{file_id}").headers["content-disposition"]
    assert disposition.count('"') == 2
    assert not set(disposition) & set("/\\")
    media = toptank.cloud.folder / "media"
    assert not [path for folder in (media, Path("/tmp")) for path in folder.glob("*slipped*")]
    assert {path.name for path in (media / "videos" / teacher.id / file_id).iterdir()} == {"original", "video.json"}


def test_a_program_that_calls_itself_a_document_is_saved_as_what_it_is(teacher: Person, course: Course) -> None:
    told = done(send(teacher, course.lesson_id, office(EXCEL), "invoice.hta"), 201)
    assert told["name"] == "invoice.hta.xlsx"


def test_a_file_beyond_the_limit_is_refused_before_it_is_read(
    toptank: TopTank, teacher: Person, course: Course
) -> None:
    with Wire(toptank.cloud.url) as wire:
        headers = {"Authorization": f"Bearer {teacher.token}", "Content-Length": str(LIMIT * 100)}
        wire.request("POST", f"/files?lesson_id={course.lesson_id}&name=a.pdf", headers)
        taken = wire.send_until_answered(bytes(64 * 1024), LIMIT * 100)
        answer = wire.answer()
    assert (answer.status, b"upload_too_large" in answer.body, answer.headers["connection"]) == (413, True, "close")
    assert taken <= LIMIT
    refused(send(teacher, course.lesson_id, iter([PDF, bytes(LIMIT)])), 413, "upload_too_large")
    assert toptank.scratch == []


def test_nobody_has_a_file_read_before_they_may_send_one(toptank: TopTank, scene: Scene) -> None:
    for who, status in (("nobody", 401), ("stranger", 403), ("another teacher", 404)):
        with Wire(toptank.cloud.url) as wire:
            headers = {"Authorization": f"Bearer {scene.people[who].token}", "Content-Length": str(LIMIT)}
            wire.request("POST", f"/files?lesson_id={scene.course.lesson_id}&name=a.pdf", headers)
            assert wire.answer().status == status


# --- captions -------------------------------------------------------------------------------------------------


def test_captions_are_for_whoever_may_watch_and_changed_by_their_owner(scene: Scene) -> None:
    path = f"/videos/{scene.film}/captions/ar-eg"
    for who, person in scene.people.items():
        if who not in ("nobody", "owner"):
            refused(person.cloud.put(path, content=SRT), 404, "video_not_found")
    assert done(scene.people["owner"].cloud.put(path, content=SRT))["language"] == "ar-EG"
    for who, (status, _) in WHO.items():
        answer = scene.people[who].cloud.get(path)
        assert answer.status_code == status, who
        if status == 200:
            assert answer.text == "WEBVTT\n\n00:00:00.100 --> 00:00:00.900\nأهلا alert(1)\n"
            assert done(scene.people[who].cloud.get(f"/videos/{scene.film}"))["captions"] == ["ar-EG"]


def test_captions_that_are_too_long_are_refused_before_they_are_read(toptank: TopTank, scene: Scene) -> None:
    with Wire(toptank.cloud.url) as wire:
        headers = {"Authorization": f"Bearer {scene.people['owner'].token}", "Content-Length": str(3 * 2**20)}
        wire.request("PUT", f"/videos/{scene.film}/captions/en", headers)
        answer = wire.answer()
    assert (answer.status, answer.headers["connection"]) == (413, "close")


def test_captions_and_files_are_there_after_a_kill_and_after_a_lost_database(toptank: TopTank, scene: Scene) -> None:
    owner = scene.people["owner"]
    done(owner.cloud.put(f"/videos/{scene.film}/captions/fr", content=SRT))
    for lose in (False, True):
        toptank.cloud.kill()
        if lose:
            for file in toptank.cloud.folder.glob("node.sqlite3*"):
                file.unlink()
        toptank.cloud.start()
        eventually(lambda: owner.cloud.get(f"/files/{scene.paid}").status_code == 200)
        assert owner.cloud.get(f"/files/{scene.paid}").content == PDF
        assert "fr" in done(owner.cloud.get(f"/videos/{scene.film}"))["captions"]
