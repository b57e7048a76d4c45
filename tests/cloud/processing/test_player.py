"""What is made plays where people watch: Chromium with hls.js, by the files as they lie on the disk."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser import CHROMIUM, NPM, reported_by
from tests.cloud.processing.studio import QUICK, Studio, Video, pattern, tone

HLS_JS = NPM / "hls.js" / "dist" / "hls.min.js"
PAGE = Path(__file__).with_name("player.html")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(not HLS_JS.exists(), reason="hls.js is not installed"),
]


@pytest.fixture(scope="module")
def seen(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page saw of a film in three renditions."""
    return watched(studio.feature(), tmp_path_factory.mktemp("profile"))


def watched(film: Video, profile: Path) -> dict[str, Any]:
    film.everything()
    return reported_by("/player.html", {"/player.html": PAGE, "/hls.js": HLS_JS, "/film/": film.folder}, profile)


def errors(seen: dict[str, Any]) -> list[str]:
    """Having to wait for bytes is none: this machine may be busy."""
    return [error for error in seen["errors"] if "bufferStalledError" not in error]


def test_a_player_reads_it_to_the_end_without_an_error(seen: dict[str, Any]) -> None:
    assert errors(seen) == []
    assert seen["ended"]
    assert seen["duration"] == pytest.approx(8.4, abs=0.2)


def test_a_player_is_told_what_there_is_to_choose(seen: dict[str, Any], studio: Studio) -> None:
    offered = [(level["width"], level["height"], level["bitrate"], level["codecs"]) for level in seen["levels"]]
    made = [(one.width, one.height, one.bitrate, one.codecs) for one in studio.feature().made]
    assert offered == made
    assert all(level["frameRate"] == pytest.approx(5, abs=0.01) for level in seen["levels"])


def test_a_player_seeks_and_switches_the_rendition_as_it_plays(seen: dict[str, Any]) -> None:
    assert seen["soughtTo"] == pytest.approx(8.4 * 3 / 4, abs=1.5)
    assert seen["played"][0] == 0
    assert seen["switchedTo"] == 1080


def test_a_player_switches_to_a_rendition_that_was_taken_as_it_is(studio: Studio, tmp_path: Path) -> None:
    usual = (*QUICK, "-g", "60", "-sc_threshold", "0", "-bf", "2", "-crf", "38", "-c:a", "aac", "-ac", "2")
    film = studio.video("fitting-hd.mp4", *pattern(1280, 720, "15", 8.4), *tone(8.4), *usual)
    made = [(target.copies_picture, target.copies_sound) for step in film.steps.values() if (target := step.target)]
    assert made == [(False, True), (True, True)]
    seen = watched(film, tmp_path)
    assert (errors(seen), seen["ended"], seen["switchedTo"]) == ([], True, 720)


def test_a_player_reads_a_film_without_sound_to_the_end(studio: Studio, tmp_path: Path) -> None:
    seen = watched(studio.video("silent.mp4", *pattern(), *QUICK), tmp_path)
    assert (errors(seen), seen["ended"]) == ([], True)
    assert seen["duration"] == pytest.approx(2, abs=0.1)
