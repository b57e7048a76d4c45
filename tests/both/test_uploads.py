"""Uploads that succeed, and the many that are refused: each leaves nothing behind."""

from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import pytest

from tests.both import wire
from tests.both.people import Course, Person, done, draft_course, make_teacher, published_course, refused
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips, padded

LIMIT = 6 * 2**20
SETTINGS = {"TOPTANK_UPLOAD_BYTES": str(LIMIT)}

CONCAT = b"ffconcat version 1.0\nfile /etc/passwd\n"
PLAYLIST = b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:10.0,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
MP4_BRAND = b"\0\0\0\x18ftypisom\0\0\0\0isommp41"


@pytest.fixture
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


# --- taken --------------------------------------------------------------------------------------------


def test_an_upload_is_stored_whole_and_answered_with_what_it_is(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    response = teacher.upload(course.lesson_id, clips.large)
    video = done(response, 201)
    assert response.headers["location"] == f"/videos/{video['id']}"
    assert (video["size"], video["media_type"], video["status"]) == (len(clips.large), "video/mp4", "processing")
    assert toptank.originals[teacher.id, video["id"]] == len(clips.large)
    assert teacher.watch(video["id"]).content == clips.large


def test_a_chunked_upload_needs_no_length(teacher: Person, course: Course, clips: Clips) -> None:
    blocks = (clips.large[at : at + 100_000] for at in range(0, len(clips.large), 100_000))
    video = done(teacher.upload(course.lesson_id, blocks), 201)
    assert teacher.watch(video["id"]).content == clips.large


@pytest.mark.parametrize(
    ("ending", "media_type"),
    [
        ("mov", "video/quicktime"),
        ("mkv", "video/x-matroska"),
        ("webm", "video/webm"),
        ("avi", "video/x-msvideo"),
        ("ts", "video/mp2t"),
    ],
)
def test_the_usual_containers_are_taken(
    teacher: Person, course: Course, clips: Clips, ending: str, media_type: str
) -> None:
    video = done(teacher.upload(course.lesson_id, clips.container(ending)), 201)
    assert (video["media_type"], video["width"]) == (media_type, 160)


def test_an_mp4_with_its_index_last_is_taken(teacher: Person, course: Course, clips: Clips) -> None:
    done(teacher.upload(course.lesson_id, clips.index_last), 201)


def test_exactly_the_allowed_size_is_taken(teacher: Person, course: Course, clips: Clips) -> None:
    done(teacher.upload(course.lesson_id, padded(clips.film, LIMIT)), 201)


# --- refused by what they are -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"just some text, " * 100, id="text"),
        pytest.param(b"hi", id="two-bytes"),
        pytest.param(b"%PDF-1.7\n" + b"x" * 2000, id="pdf"),
        pytest.param(bytes(5000), id="zeros"),
        pytest.param(PLAYLIST, id="playlist"),
        pytest.param(CONCAT, id="concat"),
        pytest.param(MP4_BRAND + PLAYLIST, id="playlist-behind-an-mp4-brand"),
        pytest.param(MP4_BRAND + CONCAT * 100, id="concat-behind-an-mp4-brand"),
        pytest.param(MP4_BRAND, id="a-brand-alone"),
        pytest.param(b"\x1a\x45\xdf\xa3" + bytes(5000), id="ebml-and-zeros"),
    ],
)
def test_what_is_no_video_is_refused(toptank: TopTank, teacher: Person, course: Course, content: bytes) -> None:
    refused(teacher.upload(course.lesson_id, content), 415, "not_a_video")
    assert toptank.scratch == []


def test_a_picture_is_no_video(teacher: Person, course: Course, clips: Clips) -> None:
    refused(teacher.upload(course.lesson_id, clips.picture), 415, "not_a_video")


def test_sound_alone_is_no_video(teacher: Person, course: Course, clips: Clips) -> None:
    problem = refused(teacher.upload(course.lesson_id, clips.sound_only), 415, "not_a_video")
    assert problem["detail"] == "The file has no video stream."


@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_mp4_is_refused(teacher: Person, course: Course, clips: Clips, kept: float) -> None:
    for whole in (clips.film, clips.index_last):
        refused(teacher.upload(course.lesson_id, whole[: int(len(whole) * kept)]), 415, "not_a_video")


def test_an_empty_body_is_refused(teacher: Person, course: Course) -> None:
    refused(teacher.upload(course.lesson_id, b""), 422, "empty_upload")
    refused(teacher.upload(course.lesson_id, iter([])), 422, "empty_upload")


def test_after_a_refusal_the_lesson_takes_a_video(teacher: Person, course: Course, clips: Clips) -> None:
    refused(teacher.upload(course.lesson_id, b"no video " * 100), 415, "not_a_video")
    done(teacher.upload(course.lesson_id, clips.film), 201)


# --- refused by their size ------------------------------------------------------------------------------


def test_a_declared_length_beyond_the_limit_is_refused_before_it_is_read(
    toptank: TopTank, teacher: Person, course: Course
) -> None:
    with wire.upload(toptank.cloud.url, teacher.token, course.lesson_id, LIMIT * 1000) as connection:
        taken = connection.send_until_answered(bytes(64 * 1024), LIMIT)
        answer = connection.answer()
    assert (answer.status, b"upload_too_large" in answer.body) == (413, True)
    assert taken <= 2**20


def test_a_chunked_body_is_refused_once_it_is_beyond_the_limit(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with wire.upload(toptank.cloud.url, teacher.token, course.lesson_id, None) as connection:
        connection.send_chunk(padded(clips.film, LIMIT)).send_chunk(b"x")
        answer = connection.answer()
    assert (answer.status, b"upload_too_large" in answer.body) == (413, True)
    assert toptank.scratch == []


def test_bytes_beyond_the_declared_length_are_never_part_of_a_video(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with wire.upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.film)) as connection:
        connection.send(clips.film + b"and more")
        assert connection.answer().status == 400
    eventually(lambda: not toptank.scratch and not toptank.node_sql("SELECT * FROM uploads"))
    sizes = toptank.node_sql("SELECT size FROM videos WHERE lesson_id = ?", course.lesson_id)
    assert sizes in ([], [(len(clips.film),)])


@pytest.mark.parametrize("length", ["-1", "ten", "1, 2", "99999999999999999999999"])
def test_a_nonsensical_length_is_a_bad_request(toptank: TopTank, teacher: Person, course: Course, length: str) -> None:
    with wire.Wire(toptank.cloud.url) as connection:
        headers = {"Authorization": f"Bearer {teacher.token}", "Content-Length": length}
        connection.request("POST", f"/videos?lesson_id={course.lesson_id}", headers)
        assert connection.answer().status == 400


def taken_after_the_answer(connection: wire.Wire, at_most: int) -> int:
    """How much more somebody can send who does not look at the answer."""
    sent = 0
    try:
        while sent < at_most:
            sent += connection.socket.send(bytes(64 * 1024))
    except ConnectionError:
        pass
    return sent


@pytest.mark.parametrize(
    ("status", "who", "where", "declared"),
    [
        (401, "nobody", "an empty lesson", LIMIT),
        (403, "student", "an empty lesson", LIMIT),
        (404, "teacher", "no lesson", LIMIT),
        (409, "teacher", "a filled lesson", LIMIT),
        (413, "teacher", "an empty lesson", LIMIT + 1),
        (415, "teacher", "an empty lesson", LIMIT),
    ],
)
def test_a_refused_upload_ends_its_connection_and_the_rest_is_not_taken(
    toptank: TopTank,
    teacher: Person,
    student: Person,
    clips: Clips,
    status: int,
    who: str,
    where: str,
    declared: int,
) -> None:
    tokens = {"nobody": "", "student": student.token, "teacher": teacher.token}
    if where == "a filled lesson":
        lesson_id = published_course(toptank, teacher, clips.film)[0].lesson_id
    else:
        lesson_id = str(uuid4()) if where == "no lesson" else draft_course(toptank, teacher).lesson_id
    with wire.upload(toptank.cloud.url, tokens[who], lesson_id, declared) as connection:
        taken = connection.send_until_answered(bytes(64 * 1024), LIMIT)
        answer = connection.answer()
        taken += taken_after_the_answer(connection, LIMIT - taken)
    assert (answer.status, answer.headers["connection"]) == (status, "close")
    assert taken <= 2 * 2**20


# --- refused by who asks and where ------------------------------------------------------------------------


def test_a_student_does_not_upload(student: Person, course: Course, clips: Clips) -> None:
    refused(student.upload(course.lesson_id, clips.film), 403, "upload_not_allowed")


def test_a_teacher_one_follower_short_does_not_upload(toptank: TopTank, clips: Clips) -> None:
    short = make_teacher(toptank, followers=2)
    problem = refused(short.upload(draft_course(toptank, short).lesson_id, clips.film), 403, "upload_not_allowed")
    assert problem["detail"] == "2 of 3 followers."


def test_a_foreign_lesson_is_not_found(toptank: TopTank, course: Course, clips: Clips) -> None:
    refused(make_teacher(toptank).upload(course.lesson_id, clips.film), 404, "lesson_not_found")


def test_an_unknown_lesson_is_not_found(teacher: Person, clips: Clips) -> None:
    refused(teacher.upload(str(uuid4()), clips.film), 404, "lesson_not_found")


@pytest.mark.parametrize("lesson_id", ["", "1", "../etc", "not-a-uuid", "%00", "'--"])
def test_a_lesson_id_that_is_no_uuid_is_refused(teacher: Person, clips: Clips, lesson_id: str) -> None:
    refused(teacher.upload(lesson_id, clips.film), 422, "validation_failed")


def test_a_lesson_id_is_needed(teacher: Person, clips: Clips) -> None:
    refused(teacher.cloud.post("/videos", content=clips.film), 422, "validation_failed")


def test_a_deleted_course_takes_no_video(teacher: Person, course: Course, clips: Clips) -> None:
    done(teacher.vps.delete(f"/courses/{course.id}"), 204)
    refused(teacher.upload(course.lesson_id, clips.film), 404, "lesson_not_found")


def test_a_demoted_teacher_does_not_upload_whatever_is_remembered(toptank: TopTank, clips: Clips) -> None:
    teacher = make_teacher(toptank)
    course = draft_course(toptank, teacher)
    assert done(teacher.cloud.get("/uploads/permission"))["allowed"]
    toptank.sql("UPDATE teachers SET verified_at = NULL WHERE user_id = %s", teacher.id)
    refused(teacher.upload(course.lesson_id, clips.film), 403, "upload_not_allowed")


def test_a_lesson_takes_one_video(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, video_id = published_course(toptank, teacher, clips.film)
    refused(teacher.upload(course.lesson_id, clips.large), 409, "lesson_has_video")
    assert teacher.watch(video_id).content == clips.film


def test_of_uploads_into_one_lesson_at_once_one_wins(teacher: Person, course: Course, clips: Clips) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: teacher.upload(course.lesson_id, clips.large), range(8)))
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 7]
    codes = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert codes <= {"upload_in_progress", "lesson_has_video"}
    (video,) = [answer.json() for answer in answers if answer.status_code == 201]
    eventually(lambda: course.video_ids() == [video["id"]])


def test_the_first_of_two_overlapping_uploads_keeps_the_lesson(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips
) -> None:
    with wire.upload(toptank.cloud.url, teacher.token, course.lesson_id, len(clips.film)) as connection:
        connection.send(clips.film[:1000])
        eventually(lambda: toptank.scratch)
        refused(teacher.upload(course.lesson_id, clips.film), 409, "upload_in_progress")
        assert connection.send(clips.film[1000:]).answer().status == 201
