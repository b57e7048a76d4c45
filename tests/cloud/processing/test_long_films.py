"""Sound and picture of long films are as far together at the end as they are at the beginning."""

import pytest

from tests.cloud.processing.measuring import IN_SYNC_S, beeps, flashes
from tests.cloud.processing.studio import QUICK, Studio, Video

ROUNDS = 168
PICTURES, PACKETS = 128, 1001
"""Of a round: so many pictures at 6000/1001 a second last as long as so many packets of 1024 samples at 48 kHz."""
ROUND_S = PICTURES * 1001 / 6000
AT = 60
"""The picture of each round at which it flashes and beeps."""


def an_hour(studio: Studio) -> Video:
    """All but twelve seconds, of a rate that no clock has exactly; its sound fits, its picture has to be made anew."""
    at_s = AT * 1001 / 6000
    beep = f"between(t,{at_s}-1024/48000,{at_s}+0.3)"  # what the encoder begins with comes first
    sound = studio.video(
        "round.aac",
        *("-f", "lavfi", "-i", f"aevalsrc='if({beep},sin(2*PI*1000*t),0)':s=48000:d=22"),
        *("-c:a", "aac", "-frames:a", str(PACKETS - 1)),
    )
    flash = f"drawbox=c=white:t=fill:enable='between(mod(n,{PICTURES}),{AT},{AT + 2})'"
    return studio.video(
        "hour.mkv",
        *("-f", "lavfi", "-i", f"color=black:size=64x48:rate=6000/1001,{flash}"),
        *("-stream_loop", str(ROUNDS - 1), "-i", str(sound.original), "-frames:v", str(ROUNDS * PICTURES)),
        *("-c:v", "mpeg4", "-g", "50", "-threads", "1", "-c:a", "copy"),
    )


def test_after_an_hour_sound_and_picture_are_still_together(studio: Studio) -> None:
    hour = an_hour(studio)
    target = hour.steps["sd"].target
    assert target
    assert (target.copies_picture, target.copies_sound) == (False, True)
    file = hour.file("sd")
    for before in (0, ROUNDS // 2, ROUNDS - 1):
        within = (before * ROUND_S, (before + 1) * ROUND_S)
        expected = [(before * PICTURES + AT) * 1001 / 6000]
        assert flashes(file, within) == pytest.approx(expected, abs=0.001)
        assert beeps(file, within) == pytest.approx(expected, abs=0.01)


LENGTH_S, LATE_S = 300, 0.48


@pytest.mark.parametrize("runs", [1.002, 0.998])
def test_sound_by_a_clock_that_runs_wrong_is_kept_with_the_picture(studio: Studio, runs: float) -> None:
    """Over half a second in five minutes, as much as a bad sound card is off in hours. It begins late besides."""
    shown = f"between(t,5,5.4)+between(t,{LENGTH_S - 5},{LENGTH_S - 4.6})"
    heard = shown.replace("(t,", f"(t*{runs}+{LATE_S},")
    seldom = f"select='lt(t,8)+gt(t,{LENGTH_S - 8})+not(mod(n,3))'"
    film = studio.video(
        f"clock-{runs}.mkv",
        *("-f", "lavfi", "-i", f"color=black:size=64x48:rate=10:d={LENGTH_S},drawbox=c=white:t=fill:enable='{shown}'"),
        *("-itsoffset", str(LATE_S), "-f", "lavfi", "-i"),
        f"aevalsrc='if({heard},sin(2*PI*1000*t),0)':s=8000:d={(LENGTH_S - LATE_S) / runs},asetpts=PTS*{runs}",
        *("-vf", seldom, "-fps_mode", "vfr", *QUICK, "-g", "50", "-threads", "1", "-c:a", "pcm_mulaw"),
    )
    for expected in (5, LENGTH_S - 5):
        within = (expected - 3, expected + 3)
        seen, sounds = flashes(film.file("sd"), within), beeps(film.file("sd"), within)
        assert seen == pytest.approx([expected], abs=0.01)
        assert sounds == pytest.approx(seen, abs=IN_SYNC_S)
