"""Nothing that was uploaded runs in a browser, however it is opened: files are saved, and what is shown is no page.

Everything is asked for with the right of somebody who may have it, by a page of the same origin: as behind an edge that
signs people in. Whatever would run asks for an address at which somebody listens.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.both.people import Course, Person, done, draft_course, nobody
from tests.both.toptank import TopTank
from tests.browser import CHROMIUM, Answer, Answers, reported_by, serving
from tests.clips import Clips
from tests.documents import GOOD, scripted

PAGE = Path(__file__).with_name("opening.html")
CALLED = "<img"
SCRIPTED = [f"scripted.{name}" for name in scripted("")]
FOREIGN, PROBLEM = "closed to us", "application/problem+json"
PASSED_ON = ("content-type", "content-disposition", "content-security-policy", "x-content-type-options")

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")


@dataclass(frozen=True)
class Opened:
    """What the page saw, what was saved by names, and which of the addresses were asked for."""

    seen: dict[str, Any]
    saved: dict[str, bytes]
    ran: list[str]
    documents: dict[str, bytes]


def hostile_captions(address: str) -> bytes:
    script = f"fetch('{address}')"
    cues = [
        f"<script>{script}</script>so",
        f"&lt;img src=x onerror={script}&gt;",
        f"<v Omar onfocus={script} tabindex=1 autofocus>so",
        f'<lang ar" onfocus="{script}" tabindex=1 autofocus>so</lang>',
        f"<v Sara oncontentvisibilityautostatechange={script} style=display:block;content-visibility:auto>so",
        f"<c.loud onfocus={script} tabindex=1 autofocus>so</c>",
    ]
    blocks = [f"00:00:0{number}.000 --> 00:00:0{number}.900\n{cue}\n" for number, cue in enumerate(cues)]
    return "\n".join(["WEBVTT\n", f"STYLE\n::cue {{ background: url({address}) }}\n", *blocks]).encode()


def node_as(who: Person, *, mislabelled: bool = False) -> Answers:
    """What the node answers them; `mislabelled`, as something between that takes whatever it is for a page."""

    def answer(path: str) -> Answer:
        said = who.cloud.get(f"/{path}")
        told = {name: said.headers[name] for name in PASSED_ON if name in said.headers}
        if mislabelled:
            told = {"content-type": "text/html", "content-security-policy": told["content-security-policy"]}
        return Answer(said.content, told, said.status_code)

    return answer


def control(address: str) -> Answers:
    """What does run."""

    def answer(path: str) -> Answer:
        script = f"fetch('{address}control-{path}')"
        if path.endswith("script"):
            return Answer(script.encode(), {"Content-Type": "text/javascript"})
        return Answer(f"<script>{script}</script>".encode(), {"Content-Type": "text/html"})

    return answer


def told(what: object) -> Answer:
    return Answer(json.dumps(what).encode(), {"Content-Type": "application/json"})


@dataclass(frozen=True)
class Uploaded:
    """Paths at the node."""

    files: dict[str, str]
    film: str
    captions: str


def upload_all(teacher: Person, course: Course, film: bytes, documents: dict[str, bytes], listener: str) -> Uploaded:
    page = f"<script>fetch('{listener}film')</script>".encode()
    with_page = film + (8 + len(page)).to_bytes(4, "big") + b"free" + page
    film_id = done(teacher.upload(course.lesson_id, with_page), 201)["id"]
    captions = f"videos/{film_id}/captions/en"
    done(teacher.cloud.put(f"/{captions}", content=hostile_captions(f"{listener}captions")))
    files = {}
    for name, content in documents.items():
        title = quote(f"{CALLED} src=x onerror=fetch('{listener}name')> {name}.html", safe="")
        answer = teacher.cloud.post(f"/files?lesson_id={course.lesson_id}&name={title}", content=content)
        files[name] = f"files/{done(answer, 201)['id']}"
    return Uploaded(files, f"videos/{film_id}/stream", captions)


def all_ways_to(at: Uploaded, listener: str) -> dict[str, str]:
    """What there is to be opened, and what there is not."""
    script = quote(f"<script>fetch('{listener}error')</script>", safe="")
    errors = [f"files/{script}", f"{at.film.replace('stream', 'captions')}/{script}", f"{script}?{script}"]
    return {
        **{name: f"/node/{path}" for name, path in at.files.items()},
        **{f"mislabelled {name}": f"/mislabelled/{path}" for name, path in at.files.items() if name in SCRIPTED},
        **{
            f"nobody's {number}": f"/nobody/{path}"
            for number, path in enumerate([at.files["pdf"], at.film, at.captions])
        },
        **{f"error {number}": f"/node/{path}" for number, path in enumerate(errors)},
        "film": f"/node/{at.film}",
        "captions": f"/node/{at.captions}",
    }


def profile_that_saves_into(folder: Path, profile: Path) -> Path:
    """Also many files at once; and windows may be opened."""
    allowed = {"default_content_setting_values": {"automatic_downloads": 1, "popups": 1}}
    chosen = {"profile": allowed, "download": {"default_directory": str(folder), "prompt_for_download": False}}
    (profile / "Default").mkdir(parents=True)
    (profile / "Default" / "Preferences").write_text(json.dumps(chosen))
    return profile


@pytest.fixture(scope="module")
def opened(toptank: TopTank, teacher: Person, clips: Clips, tmp_path_factory: pytest.TempPathFactory) -> Opened:
    ran: list[str] = []

    def heard(path: str) -> Answer:
        ran.append(path)
        return Answer(b"", status=204)

    with serving({}, {"/": heard}) as (listener, _):
        folder, address = tmp_path_factory.mktemp("browser"), f"{listener}/"
        documents = {name: content for name, (content, _) in GOOD.items()} | {
            f"scripted.{name}": content for name, content in scripted(f"{address}document").items()
        }
        at = upload_all(teacher, draft_course(toptank, teacher), clips.film, documents, address)
        anywhere = {**at.files, "film": at.film, "captions": at.captions}

        def saved() -> dict[str, bytes]:
            files = (folder / "saved").glob(f"{CALLED.replace('<', '_')}*")
            return {path.name: path.read_bytes() for path in files if path.suffix != ".crdownload"}

        things = {
            "shown": (ways := all_ways_to(at, address)),
            "visible": [name for name in ways if name not in documents],
            "kept": {name: f"/node/{path}" for name, path in anywhere.items()},
            "captions": f"/node/{at.captions}",
            "elsewhere": {
                name: {"url": f"{toptank.cloud.url}/{path}", "headers": teacher.cloud.headers}
                for name, path in anywhere.items()
            },
            "saved": len(documents),
        }
        answers: dict[str, Answers] = {
            "/node/": node_as(teacher),
            "/nobody/": node_as(nobody(toptank)),
            "/mislabelled/": node_as(teacher, mislabelled=True),
            "/control-": control(address),
            "/things": lambda _: told(things),
            "/state": lambda _: told({"ran": ran, "saved": len(set(saved().values()) & set(documents.values()))}),
        }
        profile = profile_that_saves_into(folder / "saved", folder / "profile")
        seen = reported_by("/opening.html", {"/opening.html": PAGE}, profile, answers)
        return Opened(seen, saved(), ran, documents)


def test_nothing_runs_but_what_does_run_everywhere(opened: Opened) -> None:
    controls = [f"control-shown-{way}" for way in ("navigation", "frame", "object", "embed", "script")]
    controls += [f"control-kept-{way}" for way in ("navigation", "frame")]
    assert sorted(opened.ran) == sorted(controls)
    assert opened.seen["errors"] == []


def test_a_file_is_saved_as_it_came_and_as_what_it_is_and_never_shown(opened: Opened) -> None:
    for name, content in opened.documents.items():
        assert opened.seen["shown"][name] == {"navigation": "", "frame": "", "object": ""}, name
        ending = name.removeprefix("scripted.").partition("-")[0]
        assert {Path(path).suffix for path, saved in opened.saved.items() if saved == content} == {f".{ending}"}


def test_a_file_that_is_taken_for_a_page_has_no_right_to_run(opened: Opened) -> None:
    for name in SCRIPTED:
        shown = opened.seen["shown"][f"mislabelled {name}"]
        assert shown == {"navigation": FOREIGN, "frame": FOREIGN, "object": FOREIGN}, name


def test_a_refusal_is_no_page_whatever_was_asked_for(opened: Opened) -> None:
    for name, shown in opened.seen["shown"].items():
        if name.startswith(("nobody's", "error")):
            assert (shown["navigation"], shown["frame"]) == (PROBLEM, PROBLEM), name


def test_what_is_played_opens_as_what_it_is(opened: Opened) -> None:
    for name, media_type in (("film", "video/mp4"), ("captions", "text/vtt")):
        assert set(opened.seen["shown"][name].values()) == {media_type}
        assert set(opened.seen["kept"][name].values()) == {media_type}


def test_a_file_that_a_page_fetched_opens_as_what_the_node_said(opened: Opened) -> None:
    for name in opened.documents:
        expected = "application/pdf" if name.endswith("pdf") else ""
        assert opened.seen["kept"][name] == {"navigation": expected, "frame": expected}, name


def test_captions_are_read_whole_and_are_no_markup_to_a_careless_player(opened: Opened) -> None:
    first, second, *others = opened.seen["cues"]
    assert first.startswith("fetch(")
    assert second.startswith("<img src=x")
    assert others == ["so"] * 4
    assert [voice.partition("=")[0] for voice in opened.seen["voices"]] == [
        "Omar onfocus",
        "Sara oncontentvisibilityautostatechange",
    ]


def test_a_page_of_another_origin_reads_nothing_even_with_the_token(opened: Opened) -> None:
    assert set(opened.seen["elsewhere"].values()) == {"TypeError"}
