"""From the bytes that were sent to the seconds that were watched, and to where the viewer is."""

import random
from pathlib import Path

import pytest

from cloud_service.playback.timelines import Timeline
from cloud_service.playback.watched import MOST_SENT, Run, Sent, note_sent
from cloud_service.processing.fragments import Segment, read_fragmented
from tests.clips import H264, PICTURE, ffmpeg

MIB = 2**20
MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof+global_sidx"
SEGMENTS = [Segment(100, 50, 0.0, 4.0), Segment(150, 200, 4.0, 4.0), Segment(350, 10, 8.0, 1.0)]


def test_a_player_that_goes_on_from_where_it_was_takes_no_more_memory() -> None:
    sent: list[Sent] = []
    for number in range(1000):
        note_sent(sent, "sd.mp4", number * MIB, (number + 1) * MIB, now=float(number))
    assert sent == [Sent("sd.mp4", 0, 1000 * MIB, 0.0, 999.0)]


def test_seeks_and_other_renditions_are_told_apart() -> None:
    sent: list[Sent] = []
    note_sent(sent, "sd.mp4", 0, 10, 0.0)
    note_sent(sent, "sd.mp4", 5, 8, 1.0)  # of what it has already
    note_sent(sent, "hd.mp4", 10, 20, 2.0)
    note_sent(sent, "hd.mp4", 900, 920, 3.0)
    note_sent(sent, "hd.mp4", 20, 30, 4.0)
    assert [(one.name, one.start, one.stop) for one in sent] == [
        *(("sd.mp4", 0, 10), ("hd.mp4", 10, 20), ("hd.mp4", 900, 920), ("hd.mp4", 20, 30))
    ]


def test_whoever_jumps_about_takes_little_memory_and_loses_nothing() -> None:
    chance, sent, asked = random.Random(1), list[Sent](), list[tuple[str, int]]()
    for number in range(5000):
        name, start = chance.choice(["sd.mp4", "hd.mp4", "full_hd.mp4"]), chance.randrange(10**9)
        asked.append((name, start))
        note_sent(sent, name, start, start + 1, float(number))
        assert len(sent) <= MOST_SENT
    for name, start in asked:
        assert any(one.name == name and one.start <= start < one.stop for one in sent)


@pytest.mark.parametrize(
    ("byte", "second"), [(0, 0), (100, 0), (125, 2), (150, 4), (250, 6), (350, 8), (360, 9), (4000, 9)]
)
def test_bytes_are_seconds_by_the_segments_they_lie_in(byte: int, second: float) -> None:
    assert Timeline.of_segments(SEGMENTS).seconds(byte) == second


def test_the_index_of_a_rendition_says_which_bytes_are_which_seconds(tmp_path: Path) -> None:
    file = tmp_path / "sd.mp4"
    ffmpeg(*PICTURE, *H264, "-g", "40", "-movflags", MOVFLAGS, "-frag_duration", "4000000", "-t", "10", file)
    made = read_fragmented(file)
    assert len(made.segments) == 3
    timeline = Timeline.of_segments(made.segments)
    assert timeline.seconds(0) == timeline.seconds(made.header_bytes) == 0
    assert timeline.seconds(made.size) == pytest.approx(made.duration_s)
    for segment in made.segments:
        assert timeline.seconds(segment.offset) == pytest.approx(segment.starts_s - made.segments[0].starts_s)


def test_a_viewer_is_where_the_time_has_brought_them_and_never_beyond_what_was_sent() -> None:
    run = Run(60.0, 90.0, first_at=1000.0, last_at=1010.0)
    assert [run.position_s(now) for now in (990.0, 1000.0, 1010.0, 1030.0, 2000.0)] == [60, 60, 70, 90, 90]


@pytest.mark.parametrize(
    ("from_s", "at", "is_seek"),
    [
        (90.0, 1020.0, False),  # what comes next
        (84.0, 1020.0, False),  # once more in another rendition, ahead of where they are
        (70.0, 1020.0, True),  # back
        (120.0, 1020.0, True),
        (0.0, 1020.0, True),
    ],
)
def test_what_is_sent_ahead_of_where_they_are_is_no_seek(from_s: float, at: float, is_seek: bool) -> None:
    run = Run(60.0, 90.0, first_at=1000.0, last_at=1010.0).then(Run(from_s, from_s + 10, at, at))
    begins = (from_s, at) if is_seek else (60.0, 1000.0)
    assert ((run.from_s, run.first_at), run.to_s) == (begins, from_s + 10)


def test_what_is_sent_after_a_while_is_noted_by_itself() -> None:
    sent: list[Sent] = []
    for start, now in ((0, 0.0), (10, 5.0), (20, 1000.0)):
        note_sent(sent, "sd.mp4", start, start + 10, now)
    assert sent == [Sent("sd.mp4", 0, 20, 0.0, 5.0), Sent("sd.mp4", 20, 30, 1000.0, 1000.0)]


def test_a_pause_brings_nobody_on() -> None:
    run = Run(60.0, 90.0, first_at=1000.0, last_at=1010.0)
    for number in range(3):
        at = 5000.0 + 1000 * number
        run = run.then(Run(run.to_s, run.to_s + 4, at, at + 4))
    assert (run.from_s, run.to_s, run.position_s(run.last_at)) == (60, 102, 82)


def test_whoever_goes_on_after_a_pause_may_be_sent_once_more_what_was_not_shown_yet() -> None:
    run = Run(60.0, 90.0, first_at=1000.0, last_at=1010.0).then(Run(72.0, 76.0, 5000.0, 5000.0))
    assert (run.from_s, run.to_s, run.position_s(5000.0)) == (60, 90, 70)
