"""Signed links as HTTP: from the node alone and through an edge that sends files, byte for byte as nginx answers."""

import hashlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from email import message_from_bytes
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from cloud_service.playback.ranges import MOST_RANGES
from shared.localdb import die_with_parent
from tests.both.edges import BEHIND_AN_EDGE, EDGES, edge_before, program
from tests.both.people import Person, done, draft_course, make_teacher
from tests.both.toptank import TopTank, eventually
from tests.both.wire import Answer, Wire
from tests.clips import Clips
from tests.processes import free_port

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.err;
events {{ worker_connections 64; }}
http {{
    access_log off; types {{ video/mp4 mp4; }}
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}; max_ranges {most_ranges}; }}
}}
"""
RANGES = [
    *("bytes=0-0", "bytes=1000-2000", "bytes=3000-", "bytes=-500", "bytes=-99999999", "bytes=0-99999999", "BYTES=5-9"),
    *(
        "bytes= 5 - 9 ",
        "bytes=0-0,5-9",
        "bytes=5-9, 0-0 ,-7",
        "bytes=0-99,50-149",
        "bytes=0-9,99999999-",
        "bytes=0-,0-",
    ),
    *("bytes=99999999-", "bytes=-0", "bytes=9223372036854775808-", "bytes=5-2", "bytes=5-2,0-1", "bytes=", "bytes=-"),
    *("bytes=a-b", "bytes=1-b", "bytes=--5", "bytes=1-2-3", "bytes=- 5", "bytes=0-1,", "bytes=,0-1", "bytes=1"),
    *("items=0-5", "0-5", "bytes", "none"),
    *("bytes=" + ",".join(f"{2 * n}-{2 * n}" for n in range(count)) for count in (MOST_RANGES, MOST_RANGES + 1, 700)),
    "bytes=" + ",".join(["0-"] * 1500),
]
EARLIER = formatdate(0, usegmt=True)
COMPARED = ("Content-Range", "ETag", "Last-Modified")


class Peer(NamedTuple):
    """An nginx that sends to anybody what is in its folder."""

    url: str
    folder: Path


class Film(NamedTuple):
    """With the path of a link to it, and the place of its bytes on the node's disk."""

    teacher: Person
    id: str
    path: str
    place: Path
    content: bytes

    def beside(self, name: str) -> str:
        """The path of another name in the same link."""
        return self.path.removesuffix("original") + name


def upload(toptank: TopTank, content: bytes) -> Film:
    teacher = make_teacher(toptank)
    video_id = str(done(teacher.upload(draft_course(toptank, teacher).lesson_id, content), 201)["id"])
    (single,) = done(teacher.cloud.post(f"/videos/{video_id}/playback"), 201)["mp4"]
    place = toptank.cloud.folder / "media" / "videos" / teacher.id / video_id / "original"
    return Film(teacher, video_id, urlsplit(single["url"]).path, place, content)


@pytest.fixture(scope="module")
def film(toptank: TopTank, clips: Clips) -> Film:
    return upload(toptank, clips.film)


@pytest.fixture(scope="module")
def large(toptank: TopTank, clips: Clips) -> Film:
    return upload(toptank, clips.large)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    nginx = program("nginx")
    if nginx is None:
        pytest.skip("nginx is not installed")
    folder, port = tmp_path_factory.mktemp("peer"), free_port()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, most_ranges=MOST_RANGES))
    command = [nginx, "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/nginx.err"]
    process = subprocess.Popen(command, preexec_fn=die_with_parent)
    try:
        eventually(lambda: (folder / "nginx.pid").exists() or process.poll() is not None)
        assert process.poll() is None, (folder / "nginx.err").read_text()
        yield Peer(f"http://127.0.0.1:{port}", folder)
    finally:
        process.terminate()
        process.wait()


@pytest.fixture(scope="module", params=["node", *EDGES])
def url(request: pytest.FixtureRequest, toptank: TopTank) -> Iterator[str]:
    """Where viewers are: at the node alone, or at what is before it."""
    if request.param == "node":
        yield toptank.cloud.url
        return
    with edge_before(toptank, request.param) as edge:
        toptank.cloud.restart(**BEHIND_AN_EDGE)
        yield edge.cloud


def fetch(wire: Wire, path: str, headers: dict[str, str], method: str = "GET") -> Answer:
    return wire.request(method, path, headers).answer(method)


def fetch_once(url: str, path: str, method: str = "GET", **headers: str) -> Answer:
    with Wire(url) as wire:
        return fetch(wire, path, {name.replace("_", "-"): value for name, value in headers.items()}, method)


def said(answer: Answer) -> tuple[object, ...]:
    """What has to be the same, whoever answers; a refusal's words and a boundary are everybody's own."""
    if answer.status in (412, 416):
        return answer.status, answer.headers["Content-Range"]
    told = (answer.status, *(answer.headers[name] for name in COMPARED))
    media_type, _, boundary = (answer.headers["Content-Type"] or "").partition("; boundary=")
    if not boundary:
        return *told, media_type, answer.headers["Content-Length"], answer.body
    assert int(answer.headers["Content-Length"]) == len(answer.body)
    message = message_from_bytes(b"Content-Type: %b\r\n" % answer.headers["Content-Type"].encode() + answer.body)
    parts = [part for part in message.walk() if not part.is_multipart()]
    return *told, media_type, *((one.get_content_type(), one["Content-Range"], one.get_payload()) for one in parts)


def differing(url: str, film: Film, peer: Peer, asked: list[dict[str, str]], method: str = "GET") -> list[object]:
    """The headers for which we do not say what nginx says, with what is said; we do so over one connection."""
    shutil.copy2(film.place, peer.folder / "film.mp4")
    found = list[object]()
    with Wire(url) as wire:
        for headers in asked:
            ours = said(fetch(wire, film.path, headers, method))
            with Wire(peer.url) as another:
                theirs = said(fetch(another, "/film.mp4", headers, method))
            if ours != theirs:
                found.append((headers, ours, theirs))
    return found


def validators(film: Film) -> tuple[str, str]:
    state = film.place.stat()
    return f'"{int(state.st_mtime):x}-{state.st_size:x}"', formatdate(int(state.st_mtime), usegmt=True)


def test_ranges_are_answered_as_nginx_answers_them(url: str, film: Film, peer: Peer) -> None:
    etag, modified = validators(film)
    asked: list[dict[str, str]] = [{}]
    for if_range in (None, etag, '"other"', f"W/{etag}", modified, EARLIER, "yesterday"):
        more = {"If-Range": if_range} if if_range else {}
        asked += [{"Range": one, **more} for one in RANGES]
    assert differing(url, film, peer, asked) == []


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_conditions_are_answered_as_nginx_answers_them(url: str, film: Film, peer: Peer, method: str) -> None:
    etag, modified = validators(film)
    asked = [
        *({"If-None-Match": one} for one in (etag, f"W/{etag}", f'"other", {etag}', '"other"', "*")),
        *({"If-Match": one} for one in (etag, f"W/{etag}", f'"other", {etag}', '"other"', "*")),
        *({"If-Modified-Since": one} for one in (modified, EARLIER, "yesterday")),
        *({"If-Unmodified-Since": one} for one in (modified, EARLIER)),
        {"If-None-Match": '"other"', "If-Modified-Since": modified},
        {"If-None-Match": etag, "If-Modified-Since": modified},
    ]
    if method == "GET":
        asked += [headers | {"Range": part} for headers in asked for part in ("bytes=0-9", "bytes=99999999-")]
    assert differing(url, film, peer, asked, method) == []


def test_head_says_what_get_would_and_knows_no_ranges(url: str, film: Film) -> None:
    whole = fetch_once(url, film.path)
    for asked in ({}, {"Range": "bytes=0-9"}, {"Range": "bytes=99999999-"}, {"Range": "bytes=0-0,2-3"}):
        answer = fetch_once(url, film.path, "HEAD", **asked)
        assert (answer.status, answer.body) == (200, b"")
        for name in ("Content-Length", "Content-Type", "Accept-Ranges", "Cache-Control", *COMPARED):
            assert answer.headers[name] == whole.headers[name], (name, asked)


def test_what_is_answered_says_how_it_may_be_kept_and_what_it_is(url: str, film: Film) -> None:
    for asked in ({}, {"Range": "bytes=1-2"}, {"Range": "bytes=1-2,4-5"}, {"If_None_Match": "*"}):
        answer = fetch_once(url, film.path, **asked)
        assert answer.headers.get_all("Cache-Control") == ["private, no-cache"], asked
        assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"], asked
        assert answer.headers["X-Accel-Redirect"] is None


def test_what_is_to_be_saved_says_so(url: str, film: Film) -> None:
    for method in ("GET", "HEAD"):
        answer = fetch_once(url, film.beside("download"), method)
        assert answer.status == 200
        assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert fetch_once(url, film.beside("download"), Range="bytes=-9").body == film.content[-9:]
    assert fetch_once(url, film.path).headers["Content-Disposition"] is None


def test_one_connection_goes_on_whatever_was_answered(url: str, film: Film) -> None:
    asked = [
        ("GET", film.path, {}, 200),
        ("GET", film.path, {"Range": "bytes=0-9"}, 206),
        ("GET", film.path, {"Range": "bytes=0-9,20-"}, 206),
        ("GET", film.path, {"If-None-Match": "*"}, 304),
        ("GET", film.path, {"If-Match": '"other"'}, 412),
        ("GET", film.path, {"Range": "bytes=99999999-"}, 416),
        ("GET", film.beside("none"), {}, 404),
        ("GET", "/play/none/original", {}, 404),
        ("HEAD", film.path, {}, 200),
        ("DELETE", film.path, {}, 405),
        ("GET", film.path, {"Range": "bytes=-4"}, 206),
    ]
    with Wire(url) as wire:
        for method, path, headers, status in asked:
            answer = fetch(wire, path, headers, method)
            assert answer.status == status
            assert "close" not in (answer.headers["Connection"] or "")
    assert answer.body == film.content[-4:]


def test_a_film_fetched_in_pieces_is_the_film(url: str, large: Film) -> None:
    etag = fetch_once(url, large.path, "HEAD").headers["ETag"]
    digest, step = hashlib.sha256(), 700_001
    with Wire(url) as wire:
        for start in range(0, len(large.content), step):
            asked = {"Range": f"bytes={start}-{start + step - 1}", "If-Range": etag}
            digest.update(fetch(wire, large.path, asked).body)
    assert digest.hexdigest() == hashlib.sha256(large.content).hexdigest()
    assert fetch_once(url, large.path).body == large.content


def test_several_ranges_of_a_large_film_come_whole(url: str, large: Film) -> None:
    answer = fetch_once(url, large.path, Range="bytes=2000000-,5-6")
    assert answer.status == 206
    assert large.content[2_000_000:] in answer.body
    assert len(answer.body) < len(large.content) - 2_000_000 + 1000


def test_captions_made_anew_are_seen_at_once_and_only_then_sent_again(url: str, film: Film) -> None:
    path = film.beside("captions/it.vtt")
    assert fetch_once(url, path).status == 404
    tags = set()
    for text in ("Allegro", "Andante", "Vivace!"):  # of one size, and within a second
        content = f"WEBVTT\n\n00:00.000 --> 00:01.000\n{text}\n".encode()
        done(film.teacher.cloud.put(f"/videos/{film.id}/captions/it", content=content))
        answer = fetch_once(url, path)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "text/vtt; charset=utf-8")
        assert text.encode() + b"\n" in answer.body
        tags.add(answer.headers["ETag"])
        assert fetch_once(url, path, If_None_Match=answer.headers["ETag"]).status == 304
    assert len(tags) == 3
    done(film.teacher.cloud.delete(f"/videos/{film.id}/captions/it"), 204)
    assert fetch_once(url, path).status == 404


def test_no_name_leads_anywhere_but_to_the_videos_own_files(
    url: str, film: Film, large: Film, toptank: TopTank
) -> None:
    there = f"{large.teacher.id}/{large.id}/original"
    names = [
        *("", "..", ".", "../original", "./original", "original/", "original/.", "ORIGINAL", "originals", "video.json"),
        *("/original", "//original", "/etc/passwd", "//etc/passwd", "%2fetc%2fpasswd", "file:///etc/passwd"),
        *(
            "%2e%2e/original",
            "..%2foriginal",
            "%252e%252e%252foriginal",
            "captions/..%2foriginal.vtt",
            "captions%2fit.vtt",
        ),
        *("original%00", "original%00.mp4", "%00", "%00original", "original%20", "original%0d%0aX:%20y", "%6friginal"),
        *("..\\original", "..%5coriginal", "captions/../original", "captions/it.vtt/../../original", "a" * 5000),
        *(f"../{large.id}/original", f"..%2f{large.id}%2foriginal", f"../../{there}", f"/videos/{there}", there),
        *("../../../node.sqlite3", "..%2f..%2f..%2f..%2fnode.sqlite3", "%ff%fe", "captions/%C3%A9.vtt", "sd.mp4"),
    ]
    direct = url == toptank.cloud.url
    for name in names:
        answer = fetch_once(url, film.beside(name))
        assert answer.status == 404 or (answer.status == 400 and not direct), name  # nginx has its own word for some
        if answer.status == 404:
            assert json.loads(answer.body)["code"] == "link_not_found", name
    assert fetch_once(url, film.path).body == film.content


def test_an_edge_is_told_where_files_are_and_nobody_else(url: str, film: Film, toptank: TopTank) -> None:
    answer = fetch_once(toptank.cloud.url, film.path)
    is_edge = url != toptank.cloud.url
    told = f"/media/videos/{film.teacher.id}/{film.id}/original"
    assert answer.headers["X-Accel-Redirect"] == (told if is_edge else None)
    assert answer.body == (b"" if is_edge else film.content)
