"""What is made plays where people watch: Chromium with hls.js, by the files as they lie on the disk."""

from pathlib import Path
from typing import Any

import pytest

from tests.browser import CHROMIUM, NPM, reported_by
from tests.cloud.processing.studio import Studio

HLS_JS = NPM / "hls.js" / "dist" / "hls.min.js"
PAGE = Path(__file__).with_name("player.html")

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(not HLS_JS.exists(), reason="hls.js is not installed"),
]


@pytest.fixture(scope="module")
def seen(studio: Studio, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page saw of a film in three renditions."""
    feature = studio.feature()
    feature.everything()
    files = {"/player.html": PAGE, "/hls.js": HLS_JS, "/film/": feature.folder}
    return reported_by("/player.html", files, tmp_path_factory.mktemp("profile"))


def test_a_player_reads_it_to_the_end_without_an_error(seen: dict[str, Any]) -> None:
    """Having to wait for bytes is none: this machine may be busy."""
    assert [error for error in seen["errors"] if "bufferStalledError" not in error] == []
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
