"""Players as people have them: a page of the VPS's address, in a real browser, watches what a real node sends."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.both.edges import BEHIND_AN_EDGE, EDGES, edge_before
from tests.both.people import Person, done, enroll, make_student, make_teacher, published_course
from tests.both.toptank import PROCESSED_WITHIN_S, TopTank, eventually
from tests.browser import CHROMIUM, NPM, Page, served
from tests.clips import Clips

HLS_JS = NPM / "hls.js" / "dist" / "hls.min.js"
FILES = {"/watching.html": Path(__file__).with_name("watching.html"), "/hls.js": HLS_JS}
CAPTIONS = "WEBVTT\n\n00:01.000 --> 00:02.500\nAllegro ma non troppo\n\n00:12.000 --> 00:14.000\nدو ري مي\n"
LONG_S, HEIGHTS = 24, (480, 720)
IN_HLS, PROGRESSIVE = ("hls.js", "native"), "progressive"
PAUSE_S, TOO_LONG_S = 50 * 60, 61 * 60

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here"),
    pytest.mark.skipif(not HLS_JS.exists(), reason="hls.js is not installed"),
]


@pytest.fixture(scope="module")
def web() -> Iterator[Page]:
    """What clients know as the VPS's address."""
    with served(FILES) as page:
        yield page


@pytest.fixture(scope="module")
def settings(web: Page) -> dict[str, str]:
    return {"TOPTANK_VPS_URL": web.url}


@pytest.fixture(scope="module")
def page(web: Page, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with web.shown("/watching.html", tmp_path_factory.mktemp("browser")) as page:
        yield page


@dataclass(frozen=True)
class Scene:
    """A lecture in two renditions, with captions; and one that plays as it was uploaded."""

    toptank: TopTank
    lecture: str
    raw: str
    student: Person

    def watched_by(self, student: Person, player: str) -> dict[str, str]:
        video = self.raw if player == PROGRESSIVE else self.lecture
        return {"player": player, "node": self.toptank.cloud.url, "token": student.token, "video": video}

    def begin_elsewhere(self, student: Person) -> None:
        """Until what they watched before has ended."""
        for _ in range(2):
            done(student.cloud.post(f"/videos/{self.lecture}/playback"), 201)

    def let_pass(self, seconds: int) -> None:
        """As if that had passed since playbacks began and were used."""
        self.toptank.cloud.stop()
        earlier = "UPDATE playbacks SET began_at = began_at - ?, used_at = used_at - ?"
        self.toptank.node_sql(earlier, seconds, seconds)
        self.toptank.cloud.start()


@pytest.fixture(scope="module")
def scene(toptank: TopTank, clips: Clips) -> Scene:
    teacher, student = make_teacher(toptank), make_student(toptank)
    toptank.cloud.worker.start()
    course, lecture = published_course(toptank, teacher, clips.lecture)
    done(teacher.cloud.put(f"/videos/{lecture}/captions/ar", content=CAPTIONS.encode()))
    eventually(lambda: done(teacher.cloud.get(f"/videos/{lecture}"))["status"] == "ready", PROCESSED_WITHIN_S)
    assert toptank.cloud.worker.stop() == 0
    other, raw = published_course(toptank, teacher, clips.snow)
    enroll(student, course)
    enroll(student, other)
    return Scene(toptank, lecture, raw, student)


def went_well(state: dict[str, Any]) -> dict[str, Any]:
    assert state["errors"] == []
    return state


@pytest.mark.parametrize("player", [*IN_HLS, PROGRESSIVE])
def test_a_player_starts_seeks_and_comes_to_the_end(page: Page, scene: Scene, player: str) -> None:
    page.ask("begin", **scene.watched_by(scene.student, player))
    assert went_well(page.ask("play", to=1))["duration"] == pytest.approx(LONG_S, abs=0.3)
    sought = went_well(page.ask("seek", to=LONG_S - 4))
    if player == PROGRESSIVE:
        assert len(sought["buffered"]) == 2  # what is between was not asked for
    end = went_well(page.ask("finish"))
    assert (end["ended"], end["renewals"]) == (True, [])


def test_hls_js_switches_the_rendition_where_it_is(page: Page, scene: Scene) -> None:
    page.ask("begin", **scene.watched_by(scene.student, "hls.js"))
    before = went_well(page.ask("play", to=6))
    other, same = (0, 1) if before["height"] == HEIGHTS[1] else (1, 0)
    for level in (other, same):
        switched = went_well(page.ask("switch", level=level))
        assert (switched["height"], switched["at"]) == (HEIGHTS[level], pytest.approx(before["at"], abs=8))
    assert went_well(page.ask("finish"))["ended"]


@pytest.mark.parametrize("player", IN_HLS)
def test_a_page_shows_captions_the_poster_and_the_storyboard(page: Page, scene: Scene, player: str) -> None:
    page.ask("begin", **scene.watched_by(scene.student, player))
    went_well(page.ask("play", to=1))
    cues = page.ask("captions")
    assert [(cue["from"], cue["to"]) for cue in cues] == [(1, 2.5), (12, 14)]
    assert [cue["text"] for cue in cues] == ["Allegro ma non troppo", "دو ري مي"]
    poster, storyboard = page.ask("stills")
    assert poster[0] / poster[1] == pytest.approx(16 / 9, abs=0.05)
    assert min(storyboard) > 0


@pytest.mark.parametrize("player", ["hls.js", PROGRESSIVE])
def test_who_began_elsewhere_goes_on_here_where_it_was(page: Page, scene: Scene, player: str) -> None:
    page.ask("begin", **scene.watched_by(scene.student, player))
    went_well(page.ask("play", to=2))
    scene.begin_elsewhere(scene.student)
    state = went_well(page.ask("seek", to=LONG_S - 3))
    (renewal,) = state["renewals"]
    assert renewal["why"] == "playback_moved"
    assert renewal["on"] >= renewal["at"] - 0.5
    assert went_well(page.ask("finish"))["ended"]


def test_a_long_pause_breaks_nothing_and_after_a_longer_one_the_player_asks_anew(page: Page, scene: Scene) -> None:
    page.ask("begin", **scene.watched_by(scene.student, "hls.js"))
    went_well(page.ask("play", to=1))
    scene.let_pass(PAUSE_S)
    paused = went_well(page.ask("play", to=6))
    assert paused["renewals"] == []
    scene.let_pass(TOO_LONG_S)
    end = went_well(page.ask("finish"))
    (renewal,) = end["renewals"]
    assert renewal["why"] == "playback_expired"
    assert renewal["on"] >= renewal["at"] - 0.5 >= paused["at"] - 0.5
    assert end["ended"]


@pytest.mark.parametrize("name", EDGES)
def test_behind_an_edge_it_is_the_same(page: Page, scene: Scene, name: str) -> None:
    with edge_before(scene.toptank, name) as edge:
        scene.toptank.cloud.restart(**BEHIND_AN_EDGE, TOPTANK_CLOUD_URL=edge.cloud)
        try:
            links = page.ask("begin", **scene.watched_by(scene.student, "hls.js") | {"node": edge.cloud})
            assert links["hls"].startswith(edge.cloud)
            went_well(page.ask("play", to=1))
            went_well(page.ask("seek", to=LONG_S - 4))
            assert [cue["from"] for cue in page.ask("captions")] == [1, 12]
            assert len(page.ask("stills")) == 2
            scene.begin_elsewhere(scene.student)
            end = went_well(page.ask("seek", to=LONG_S / 2 + 1))
            assert [renewal["why"] for renewal in end["renewals"]] == ["playback_moved"]
            assert went_well(page.ask("finish"))["ended"]
        finally:
            scene.toptank.cloud.restart()


def test_a_page_of_another_address_reads_nothing_of_it(page: Page, scene: Scene, tmp_path: Path) -> None:
    links = page.ask("begin", **scene.watched_by(scene.student, "hls.js"))
    bearer = {"Authorization": f"Bearer {scene.student.token}"}
    stream = f"{scene.toptank.cloud.url}/videos/{scene.lecture}"
    ways: list[dict[str, Any]] = [
        {"url": links["hls"]},
        {"url": links["mp4"][0]["url"], "headers": {"Range": "bytes=0-99"}},
        {"url": f"{stream}/stream", "headers": {**bearer, "Range": "bytes=0-99"}},
        {"url": f"{stream}/playback", "headers": bearer, "method": "POST"},
        {"url": f"{stream}/none"},
    ]
    assert [page.ask("read", **way)["status"] for way in ways] == [200, 206, 206, 201, 404]
    ours = page.ask("read", **ways[1])["headers"]
    assert {"content-range", "etag", "accept-ranges", "x-request-id"} <= set(ours)
    with served(FILES) as web, web.shown("/watching.html", tmp_path) as elsewhere:
        for way in ways:
            assert elsewhere.ask("read", **way) == {"refused": "TypeError"}
            assert page.ask("readFromNowhere", **way) == {"refused": "TypeError"}
