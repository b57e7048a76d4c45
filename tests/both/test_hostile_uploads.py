"""Some of the corpus against the real node and worker, beside the video of another course that it is after."""

from collections.abc import Iterator

import pytest

from tests.both.people import Course, Person, done, draft_course, make_teacher, published_course, refused
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.clips import Clips
from tests.corpus import CORPUS
from tests.corpus.trap import Trap, set_trap

SETTINGS = {"TOPTANK_PROCESSING_RETRY_S": "0"}
ENTRIES = {entry.name: entry for entry in CORPUS}
REFUSED = (
    "hls behind 600 spaces",
    "hls behind an MP4 brand",
    "a-playlist-behind-an-avi-head",
    "pictures-behind-an-alias",
    "a-quicktime-reference-movie",
    "50 percent of an MP4 with its index last",
    "half a mkv",
    "an-encrypted-video",
    "a-hundred-tracks",
    "sizes-of-two-thousand-million-samples",
    "pictures-of-50-megapixels",
    "thirteen-hours",
    "pictures-of-letters",
    "a-photo-in-an-mp4-box",
    "sound-alone",
)
TAKEN = {
    "a-playlist-as-the-subtitles-of-an-avi": "ready",
    "pictures-in-the-file-of-another-course": "ready",
    "words-that-want-to-be-commands": "ready",
    "a-title-in-another-encoding": "ready",
    "pictures-that-grow-beyond-all-bounds": "ready",
}


@pytest.fixture(scope="module")
def trap(toptank: TopTank, clips: Clips) -> Iterator[Trap]:
    """Set once the video was processed: until then it is read by whom it is for."""
    toptank.cloud.worker.start()
    owner = make_teacher(toptank)
    _, video_id = published_course(toptank, owner, clips.film)
    eventually(lambda: status_of(owner, video_id) == "ready", PROCESSED_WITHIN_S)
    with set_trap(toptank.cloud.folder / "media" / "videos" / owner.id / video_id / "original") as trap:
        yield trap
        assert trap.visits() == []
        assert toptank.cloud.worker.stop() == 0


@pytest.fixture(scope="module")
def course(toptank: TopTank, teacher: Person) -> Course:
    return draft_course(toptank, teacher)


def status_of(who: Person, video_id: str) -> str:
    return str(done(who.cloud.get(f"/videos/{video_id}"))["status"])


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_and_its_teacher_told_why(
    name: str, toptank: TopTank, teacher: Person, course: Course, clips: Clips, trap: Trap
) -> None:
    problem = refused(teacher.upload(course.lesson_id, ENTRIES[name].make(clips, trap)), 415, "not_a_video")
    assert ENTRIES[name].reason in problem["detail"]
    assert toptank.scratch == []
    assert toptank.node_sql("SELECT * FROM uploads") == []
    assert trap.visits() == []


def test_what_is_taken_is_processed_to_a_clear_end(
    toptank: TopTank, teacher: Person, course: Course, clips: Clips, trap: Trap
) -> None:
    """Each as long as its own pictures, made from them alone."""
    videos = {}
    for name in TAKEN:
        answer = teacher.upload(course.add_lesson(), ENTRIES[name].make(clips, trap))
        videos[name] = str(done(answer, 201)["id"])
    for name, status in TAKEN.items():
        eventually(lambda name=name: status_of(teacher, videos[name]) != "processing", 2 * PROCESSED_WITHIN_S)  # type: ignore[misc]
        video = done(teacher.cloud.get(f"/videos/{videos[name]}"))
        assert (video["status"], bool(video["reason"])) == (status, status == "error"), name
    assert trap.visits() == []


def test_the_node_goes_on_as_if_nothing_had_been(teacher: Person, course: Course, clips: Clips, trap: Trap) -> None:
    done(teacher.upload(course.lesson_id, clips.film), 201)
