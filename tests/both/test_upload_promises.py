"""What an upload is promised: the very bytes, stored once however often it is sent, in the place that was named."""

import base64
import hashlib
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest

from tests.both.people import Course, Person, done, draft_course, make_student, published_course, refused
from tests.both.toptank import TopTank, eventually
from tests.both.wire import upload_to
from tests.clips import Clips, padded

QUOTA = 3 * 2**20
SETTINGS = {"TOPTANK_PRACTICE_QUOTA_BYTES": str(QUOTA)}
_numbers: Iterator[int] = count(1)


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


@pytest.fixture
def key() -> str:
    return f"key-{next(_numbers)}"


def digest_of(content: bytes, algorithm: str = "sha-256") -> str:
    digest = hashlib.new(algorithm.replace("-", ""), content).digest()
    return f"{algorithm}=:{base64.b64encode(digest).decode()}:"


def send(who: Person, place: str, content: Any, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return who.cloud.post(f"/videos?{place}", content=content, headers=named)


def stored(toptank: TopTank, course: Course) -> list[tuple[str]]:
    return toptank.node_sql("SELECT id FROM videos WHERE lesson_id = ?", course.lesson_id)


# --- the very bytes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", ["", "sha-256", "sha-512"])
def test_every_upload_is_answered_with_the_digest_of_what_was_stored(
    teacher: Person, course: Course, clips: Clips, said: str
) -> None:
    headers = {"Repr_Digest": f"md5=:AAAA:, {digest_of(clips.large, said)}"} if said else {}
    response = send(teacher, f"lesson_id={course.lesson_id}", clips.large, **headers)
    assert done(response, 201)["sha256"] == hashlib.sha256(clips.large).hexdigest()
    assert response.headers["repr-digest"] == digest_of(clips.large)


@pytest.mark.parametrize("algorithm", ["sha-256", "sha-512"])
def test_bytes_that_are_not_those_that_were_sent_are_not_kept(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, algorithm: str
) -> None:
    place, said = f"lesson_id={course.lesson_id}", digest_of(clips.large, algorithm)
    changed = clips.large[:-1] + b"!"
    refused(send(teacher, place, changed, Repr_Digest=said), 422, "digest_mismatch")
    refused(send(teacher, place, iter([changed]), Repr_Digest=said), 422, "digest_mismatch")
    assert (toptank.scratch, stored(toptank, course)) == ([], [])
    done(send(teacher, place, clips.large, Repr_Digest=said), 201)


@pytest.mark.parametrize(
    "said", ["", "sha-256", "sha-256=abc", "sha-256=:????:", "sha-256=:AAAA:", "sha-256=:AAAA", "SHA-256=:AAAA:", ","]
)
def test_a_digest_that_cannot_be_read_is_refused(teacher: Person, course: Course, clips: Clips, said: str) -> None:
    response = send(teacher, f"lesson_id={course.lesson_id}", clips.film, Repr_Digest=said)
    refused(response, 400, "invalid_repr_digest")


def test_a_digest_that_nobody_here_can_check_is_passed_over(teacher: Person, course: Course, clips: Clips) -> None:
    done(send(teacher, f"lesson_id={course.lesson_id}", clips.film, Repr_Digest="md5=:AAAA:;q=1"), 201)


# --- stored once --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["declared", "chunked", "with its digest"])
def test_a_retry_with_the_same_key_is_answered_with_the_same_video(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str, way: str
) -> None:
    def attempt() -> httpx.Response:
        content = iter([clips.large[:1000], clips.large[1000:]]) if way == "chunked" else clips.large
        headers = {"Repr_Digest": digest_of(clips.large)} if way == "with its digest" else {}
        return send(teacher, f"lesson_id={course.lesson_id}", content, Idempotency_Key=key, **headers)

    first, second = attempt(), attempt()
    assert done(first, 201) == done(second, 201)
    for name in ("location", "repr-digest"):
        assert first.headers[name] == second.headers[name]
    assert len(stored(toptank, course)) == 1
    assert toptank.scratch == []


def test_a_retry_that_tells_its_digest_need_not_send_its_body(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str
) -> None:
    place = f"lesson_id={course.lesson_id}"
    video = done(send(teacher, place, clips.large, Idempotency_Key=key), 201)
    headers = {"Idempotency-Key": key, "Repr-Digest": digest_of(clips.large), "Expect": "100-continue"}
    with upload_to(toptank.cloud.url, teacher.token, place, len(clips.large), headers) as wire:
        answer = wire.headers()
        assert (answer.status, answer.headers["location"]) == (201, f"/videos/{video['id']}")


@pytest.mark.parametrize("other", ["length", "digest", "bytes", "chunked bytes", "more", "place", "user"])
def test_a_key_is_for_one_upload(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str, other: str
) -> None:
    place = f"lesson_id={course.lesson_id}"
    done(send(teacher, place, clips.large, Idempotency_Key=key), 201)
    who = make_student(toptank) if other == "user" else teacher
    if other == "place":
        place = f"lesson_id={course.add_lesson()}"
    headers = {"Repr_Digest": digest_of(clips.film)} if other == "digest" else {}
    changed = clips.large[:-1] + b"!"
    content: dict[str, Any] = {
        "length": clips.film,
        "bytes": changed,
        "chunked bytes": iter([changed]),
        "more": iter([clips.large, b"!"]),
    }
    again = send(who, place, content.get(other, clips.large), Idempotency_Key=key, **headers)
    refused(again, 422, "idempotency_key_reused")
    assert len(stored(toptank, course)) == 1
    assert toptank.scratch == []


def test_a_second_upload_with_a_key_whose_first_is_under_way_has_to_wait(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str
) -> None:
    place = f"lesson_id={course.lesson_id}"
    with upload_to(toptank.cloud.url, teacher.token, place, len(clips.film), {"Idempotency-Key": key}) as wire:
        wire.send(clips.film[:1000])
        eventually(lambda: toptank.scratch)
        response = send(teacher, place, clips.film, Idempotency_Key=key)
        refused(response, 409, "idempotency_key_in_use")
        assert response.headers["retry-after"] == "1"
        assert wire.send(clips.film[1000:]).answer().status == 201


def test_an_upload_that_failed_leaves_its_key_free(teacher: Person, course: Course, clips: Clips, key: str) -> None:
    place = f"lesson_id={course.lesson_id}"
    refused(send(teacher, place, b"no video " * 100, Idempotency_Key=key), 415, "not_a_video")
    done(send(teacher, place, clips.film, Idempotency_Key=key), 201)


def test_an_upload_that_was_dropped_leaves_its_key_free(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str
) -> None:
    place = f"lesson_id={course.lesson_id}"
    with upload_to(toptank.cloud.url, teacher.token, place, len(clips.film), {"Idempotency-Key": key}) as wire:
        wire.send(clips.film[:-1])
        eventually(lambda: toptank.scratch)
    eventually(lambda: not toptank.node_sql("SELECT * FROM uploads"))
    done(send(teacher, place, clips.film, Idempotency_Key=key), 201)


def test_the_key_of_a_video_that_was_deleted_stores_a_new_one(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str
) -> None:
    place = f"lesson_id={course.lesson_id}"
    first = done(send(teacher, place, clips.film, Idempotency_Key=key), 201)
    done(teacher.cloud.delete(f"/videos/{first['id']}"), 204)
    second = done(send(teacher, place, clips.film, Idempotency_Key=key), 201)
    assert first["id"] != second["id"]
    assert done(send(teacher, place, clips.film, Idempotency_Key=key), 201)["id"] == second["id"]


def test_a_key_is_kept_over_a_kill(toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str) -> None:
    place = f"lesson_id={course.lesson_id}"
    first = done(send(teacher, place, clips.film, Idempotency_Key=key), 201)
    toptank.cloud.kill()
    toptank.cloud.start()
    assert done(send(teacher, place, clips.film, Idempotency_Key=key), 201)["id"] == first["id"]


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_whoever_leaves_right_behind_the_last_byte_has_uploaded_and_finds_it_by_the_key(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, key: str, declared: bool
) -> None:
    place, length = f"lesson_id={course.lesson_id}", len(clips.film) if declared else None
    with upload_to(toptank.cloud.url, teacher.token, place, length, {"Idempotency-Key": key}) as wire:
        if declared:
            wire.send(clips.film)
        else:
            wire.send_chunk(clips.film).send_chunk(b"")
    ((video_id,),) = eventually(lambda: stored(toptank, course))
    again = eventually(
        lambda: (answer := send(teacher, place, clips.film, Idempotency_Key=key)).status_code != 409 and answer
    )
    assert done(again, 201)["id"] == video_id


@pytest.mark.parametrize("key", ["", "x" * 256, "schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel", "a\tb"])
def test_a_key_is_one_to_255_printable_characters(teacher: Person, course: Course, clips: Clips, key: str) -> None:
    headers = {"Idempotency-Key": key.encode("latin-1")}
    response = teacher.cloud.post(f"/videos?lesson_id={course.lesson_id}", content=clips.film, headers=headers)
    refused(response, 422, "validation_failed")


# --- in the place that was named -----------------------------------------------------------------------------


def test_anybody_may_keep_a_practice_video(toptank: TopTank, student: Person, clips: Clips) -> None:
    video = done(send(student, "kind=practice&title=Maqam%20Rast", clips.film), 201)
    assert (video["title"], video["lesson_id"], video["course_id"]) == ("Maqam Rast", None, None)
    assert student.watch(video["id"]).content == clips.film


@pytest.mark.parametrize(
    "place",
    [
        "kind=practice",
        "kind=practice&title=",
        "kind=practice&title=%20",
        "kind=practice&title=%00",
        f"kind=practice&title={'x' * 201}",
        "kind=practice&title=x&lesson_id={lesson_id}",
        "kind=practice&title=x&replace=true",
        "kind=file&lesson_id={lesson_id}",
        "lesson_id={lesson_id}&title=x",
        "lesson_id={lesson_id}&replace=perhaps",
        "lesson_id={lesson_id}&colour=red",
        "replace=true",
        "title=x",
    ],
)
def test_places_that_make_no_sense_are_refused(teacher: Person, course: Course, clips: Clips, place: str) -> None:
    problem = refused(send(teacher, place.format(lesson_id=course.lesson_id), clips.film), 422, "validation_failed")
    assert problem["errors"]


def test_a_video_is_replaced_only_by_one_at_a_time(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, old = published_course(toptank, teacher, clips.film)
    place = f"lesson_id={course.lesson_id}&replace=true"
    new = done(send(teacher, place, clips.large), 201)
    assert new["replaces"] == old
    refused(send(teacher, place, clips.large), 409, "replacement_under_way")
    assert teacher.watch(old).content == clips.film
    done(teacher.cloud.delete(f"/videos/{new['id']}"), 204)


# --- within the quota ----------------------------------------------------------------------------------------


def test_practice_videos_have_a_quota(toptank: TopTank, clips: Clips) -> None:
    student, place = make_student(toptank), "kind=practice&title=x"
    two_thirds = padded(clips.film, QUOTA * 2 // 3)
    refused(send(student, place, padded(clips.film, QUOTA + 1)), 413, "quota_exceeded")
    refused(send(student, place, iter([padded(clips.film, QUOTA), b"!"])), 413, "quota_exceeded")
    video = done(send(student, place, two_thirds), 201)
    assert "practice" in refused(send(student, place, two_thirds), 413, "quota_exceeded")["detail"]
    done(student.cloud.delete(f"/videos/{video['id']}"), 204)
    done(send(student, place, padded(clips.film, QUOTA)), 201)


@pytest.mark.parametrize("declared", [True, False], ids=["declared", "chunked"])
def test_uploads_under_way_count_in_the_quota(toptank: TopTank, clips: Clips, declared: bool) -> None:
    student, place = make_student(toptank), "kind=practice&title=x"
    two_thirds = padded(clips.film, QUOTA * 2 // 3)
    length = len(two_thirds) if declared else None
    with upload_to(toptank.cloud.url, student.token, place, length, {}) as wire:
        wire.send(clips.film) if declared else wire.send_chunk(two_thirds)
        eventually(lambda: toptank.scratch)
        refused(send(student, place, two_thirds), 413, "quota_exceeded")
        done(send(make_student(toptank), place, clips.film), 201)
    eventually(lambda: not toptank.node_sql("SELECT * FROM uploads"))
    done(send(student, place, two_thirds), 201)
