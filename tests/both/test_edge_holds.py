"""An edge cannot be talked into sending a file without the node's word, nor into letting anybody inside."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from tests.both.edges import BEHIND_AN_EDGE, EDGES, Edge, program, running_edge
from tests.both.people import Course, Person, done, make_student, published_course
from tests.both.toptank import TopTank
from tests.both.wire import Answer, Wire
from tests.clips import Clips

SETTINGS = BEHIND_AN_EDGE
REFUSED = (400, 403, 404, 405)


@dataclass(frozen=True)
class Prey:
    """A film, and the path by which the node lets the edge send it."""

    toptank: TopTank
    course: Course
    video_id: str
    content: bytes

    @property
    def below(self) -> str:
        return f"videos/{self.course.teacher.id}/{self.video_id}/original"

    @property
    def file(self) -> Path:
        return self.toptank.cloud.folder / "media" / self.below

    def is_in(self, answer: Answer) -> bool:
        return self.content[:64] in answer.body or b"SQLite format 3" in answer.body


@pytest.fixture(scope="module")
def prey(toptank: TopTank, teacher: Person, clips: Clips) -> Prey:
    course, video_id = published_course(toptank, teacher, clips.film)
    return Prey(toptank, course, video_id, clips.film)


def asked(edge: Edge, target: str, headers: dict[str, str] | None = None, method: str = "GET") -> Answer:
    with Wire(edge.cloud) as wire:
        return wire.request(method, target, headers or {}).answer(method)


TARGETS = (
    "/media/{below}",
    "//media/{below}",
    "/media//{below}",
    "/./media/{below}",
    "/media/./{below}",
    "/x/../media/{below}",
    "/x/%2e%2e/media/{below}",
    "/x/..%2fmedia/{below}",
    "/%6dedia/{below}",
    "/%6Dedia%2F{below}",
    "/media%2f{below}",
    "/media%5c{below}",
    "/media/{below}?x=1",
    "/media/{below}%00.mp4",
    "/media/{below}/",
    "/MEDIA/{below}",
    "/media/../node.sqlite3",
    "/media/%2e%2e/node.sqlite3",
    "/media/..%2fnode.sqlite3",
    "/../media/{below}",
    "/..%2f..%2f..%2f..%2f..%2f..%2f..%2f..%2f{file}",
    "/{below}",
    "/videos/../media/{below}",
    "/play/x/../../media/{below}",
    "/play/x/..%2f..%2fmedia/{below}",
    "/play/{token}/../../media/{below}",
    "/play/{token}/%2e%2e/%2e%2e/media/{below}",
    "/play/{token}/..%2foriginal",
    "/play/{token}//original",
    "/play/{token}/%2foriginal",
    "http://{host}/media/{below}",
    "http://media/{below}",
    "http://x/media/{below}",
    "//x/media/{below}",
    "/files/..%2f..%2fmedia%2f{below}",
    "/health/edge/../../media/{below}",
)
ALSO: tuple[dict[str, str], ...] = (
    {},
    {"X-Accel-Redirect": "/media/{below}"},
    {"X-Accel-Redirect": "/media/{below}", "X-Accel-Internal": "/media/", "X-Accel-Mapping": "/=/media/"},
    {"X-Sendfile": "{file}", "X-Sendfile-Type": "X-Accel-Redirect"},
    {"X-Original-URI": "/media/{below}", "X-Rewrite-URL": "/media/{below}", "X-Original-URL": "/media/{below}"},
)


@pytest.fixture
def words(edge: Edge, prey: Prey) -> dict[str, str]:
    """What targets and headers are made of; the token is one that leads to the film."""
    teacher = edge.person(prey.course.teacher)
    (link,) = done(teacher.cloud.post(f"/videos/{prey.video_id}/playback"), 201)["mp4"]
    path = urlsplit(link["url"]).path
    assert asked(edge, path).body == prey.content
    host = urlsplit(edge.cloud).netloc
    return {"below": prey.below, "file": str(prey.file), "token": path.split("/")[2], "host": host}


@pytest.mark.parametrize("also", ALSO, ids=lambda also: " ".join(also) or "nothing")
def test_no_way_of_writing_its_path_leads_to_a_file(
    edge: Edge, prey: Prey, words: dict[str, str], also: dict[str, str]
) -> None:
    headers = {name: value.format(**words) for name, value in also.items()}
    for target in TARGETS:
        answer = asked(edge, target.format(**words), headers)
        assert answer.status in REFUSED, (target, answer.status)
        assert not prey.is_in(answer), target


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "TRACE", "HEAD"])
def test_nor_does_any_method(edge: Edge, words: dict[str, str], method: str) -> None:
    for target in ("/media/{below}", "/play/x/../../media/{below}"):
        answer = asked(edge, target.format(**words), {"Content-Length": "0"}, method)
        assert answer.status in REFUSED, (method, answer.status)


def test_a_token_that_is_none_opens_nothing_whatever_comes_with_it(
    edge: Edge, prey: Prey, words: dict[str, str]
) -> None:
    token = words["token"]
    for forged in (token[:-1] + ("A" if token[-1] != "A" else "B"), token[:40], prey.course.teacher.token, "-"):
        for also in ALSO:
            headers = {name: value.format(**words) for name, value in also.items()}
            answer = asked(edge, f"/play/{forged}/original", headers)
            assert answer.status == 404, forged
            assert not prey.is_in(answer)


@pytest.mark.parametrize("host", ["media", "x/media", "a/?x=", "127.0.0.1:1/media/", "..", "", "a b", "x@y", "[::1]"])
def test_no_host_opens_anything(edge: Edge, prey: Prey, words: dict[str, str], host: str) -> None:
    for target in ("/media/{below}", "/videos/{video}/stream", "/internal/access"):
        path = target.format(**words, video=prey.video_id)
        with Wire(edge.cloud) as wire:
            wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            answer = wire.answer()
        assert answer.status in (*REFUSED, 401), (target, answer.status)
        assert not prey.is_in(answer)


def test_headers_that_only_an_edge_should_send_change_nothing(edge: Edge, prey: Prey) -> None:
    stranger = edge.person(make_student(prey.toptank))
    sent = {
        "X-Request-ID": "x" * 5000,
        "Forwarded": "for=127.0.0.1;host=internal",
        "X-Forwarded-For": "127.0.0.1",
        "X-Forwarded-Host": "internal",
        "X-Forwarded-Prefix": "/media",
        "X-Real-IP": "127.0.0.1",
        "Connection": "keep-alive, Authorization",
    }
    for name, value in sent.items():
        answer = stranger.cloud.get(f"/videos/{prey.video_id}/stream", headers={name: value})
        assert answer.status_code in (401, 403), name
        assert len(answer.headers.get("x-request-id", "")) <= 64


INSIDE = (
    "/internal",
    "/internal/access",
    "/internal/changes?after=0",
    "/metrics",
    "/metrics?x=1",
    "/metrics/",
    "/%6detrics",
    "/%69nternal/access",
    "//internal/access",
    "/./metrics",
    "/x/../metrics",
    "/api/..%2fmetrics",
    "/internal/../internal/access",
    "/internal%2faccess",
    "http://x/metrics",
    "http://x/internal/access",
)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_is_for_nodes_and_operators_is_not_reached_from_outside(edge: Edge, toptank: TopTank, method: str) -> None:
    assert toptank.http.get(f"{toptank.vps.url}/metrics").status_code == 200
    for base in (edge.vps, edge.cloud):
        for target in INSIDE:
            with Wire(base) as wire:
                answer = wire.request(method, target, {"Content-Length": "0"}).answer()
            assert answer.status == 404, (base, target)
            assert b"toptank_" not in answer.body
    assert toptank.http.get(f"{edge.vps}/metrics").json()["code"] == "not_found"


def test_the_edge_says_that_it_lives_and_so_do_the_services(edge: Edge, toptank: TopTank) -> None:
    for base in (edge.vps, edge.cloud):
        assert toptank.http.get(f"{base}/health/edge").status_code == 204
        assert toptank.http.get(f"{base}/health/ready").status_code == 200


# --- should a service say more than ours do --------------------------------------------------------------------


class _Redirecting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("X-Accel-Redirect", self.headers["Redirect-To"])
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def redirecting_service() -> Iterator[int]:
    """Something that hands on whatever it is asked to; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("name", EDGES)
def test_the_edge_leaves_the_media_folder_at_nobodys_word_and_the_vps_has_none(name: str, tmp_path: Path) -> None:
    if program(name) is None:
        pytest.skip(f"{name} is not installed")
    media = tmp_path / "node" / "media"
    media.mkdir(parents=True)
    media.joinpath("film").write_bytes(b"the film")
    media.parent.joinpath("secret").write_bytes(b"the secret")
    with redirecting_service() as port, running_edge(name, tmp_path, port, port, media) as edge:

        def told(base: str, path: str) -> bytes:
            with Wire(base) as wire:
                return wire.request("GET", "/", {"Redirect-To": path}).answer().body

        assert told(edge.cloud, "/media/film") == b"the film"
        assert told(edge.vps, "/media/film") == b""
        assert b'"code":' in told(edge.cloud, "/media/")  # nginx: 403, as for a film that it may not read
        outside = ("/media/../secret", "/media/%2e%2e/secret", "/media/..%2fsecret", f"/media/{media.parent}/secret")
        for path in (*outside, "/secret", "/mediafilm", "/media/", "/", str(media.parent / "secret")):
            body = told(edge.cloud, path)
            assert b"secret" not in body, path
            assert b"film" not in body, path
