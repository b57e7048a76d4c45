"""A playback's links are sent so many bytes as one viewer may take, and to whom they are handed on takes of these
(abuse case 52)."""

from collections.abc import Iterator
from http.client import IncompleteRead

import pytest

from tests.both.people import Course, Person, draft_course, enroll
from tests.both.playing import Link, add_film, ask, link_of
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips, padded

TIMES_OVER = 3
SETTINGS = {"TOPTANK_PLAYBACK_TIMES_OVER": str(TIMES_OVER), "TOPTANK_PLAYBACK_LEAST_BYTES": "0"}
SIZE = 24 * 2**20


@pytest.fixture(scope="module")
def course(toptank: TopTank, teacher: Person, student: Person) -> Course:
    course = draft_course(toptank, teacher)
    course.publish()
    enroll(student, course)
    return course


@pytest.fixture(scope="module")
def film(course: Course, clips: Clips) -> str:
    return add_film(course, padded(clips.film, SIZE))


@pytest.fixture
def link(toptank: TopTank, student: Person, film: str) -> Iterator[Link]:
    yield (link := link_of(toptank, student, film))
    link.check_refused(410, "playback_expired")


def test_whoever_follows_a_link_takes_of_what_there_is_for_all(link: Link) -> None:
    for _ in range(TIMES_OVER):
        assert len(link.follow().body) == SIZE
    link.check_refused(410, "playback_expired")
    assert ask(link.node, f"/play/{link.token}/{link.name}", method="HEAD").status == 410


def test_parts_count_as_much_as_they_are_and_heads_nothing(link: Link) -> None:
    part = SIZE // 2
    for number in range(2 * TIMES_OVER):
        first = number % 2 * part
        assert len(link.follow(Range=f"bytes={first}-{first + part - 1}").body) == part
        for _ in range(4):
            ask(link.node, f"/play/{link.token}/{link.name}", method="HEAD")


def test_what_is_used_up_amid_an_answer_ends_it(link: Link) -> None:
    for _ in range(TIMES_OVER - 1):
        link.follow()
    link.follow(Range=f"bytes=0-{SIZE // 2 - 1}")
    with pytest.raises(IncompleteRead) as cut:
        link.follow()
    assert SIZE // 2 <= len(cut.value.partial) < SIZE


def test_who_watches_on_begins_another_beside_what_else_they_watch(
    toptank: TopTank, student: Person, film: str, link: Link
) -> None:
    """One that is used up is over at once, also for the VPS, and takes the place of none that is watched."""
    used_up = link_of(toptank, student, film)
    for _ in range(TIMES_OVER):
        assert len(used_up.follow().body) == SIZE
    used_up.check_refused(410, "playback_expired")
    another = link_of(toptank, student, film)
    running = "SELECT count(*) FROM playbacks WHERE ended_at IS NULL AND moved_at IS NULL"
    eventually(lambda: toptank.sql(running) == [(2,)])
    for one in (link, another):
        assert one.follow(Range="bytes=0-9").status == 206
    for _ in range(TIMES_OVER):
        link.follow()
