"""Which pages a browser lets read what a node answers: those of the VPS's address and of whom the operator names."""

from dataclasses import dataclass
from urllib.parse import urljoin

import httpx
import pytest

from tests.both.people import Person, done, enroll, make_student, published_course
from tests.both.toptank import TopTank
from tests.clips import Clips
from tests.tus.table import VERSION, metadata

APP = "https://app.example"
SETTINGS = {"TOPTANK_CORS_ORIGINS": APP}
OTHERS = ["null", "https://elsewhere.example", f"{APP}.elsewhere.example", "http://app.example", f"{APP}:8443"]
ANY_PAGE_READS = {"cache-control", "content-length", "content-type", "last-modified"}
NO_PAGE_NEEDS = {"allow", "connection", "date", "vary", "www-authenticate", "x-content-type-options"}
SENT = "authorization, content-type, idempotency-key, if-range, range, repr-digest, tus-resumable, upload-offset"


@dataclass(frozen=True)
class Asked:
    """One request of each kind of answer that there is."""

    method: str
    url: str
    status: int
    headers: dict[str, str]

    def by_page_of(self, origin: str, http: httpx.Client) -> httpx.Response:
        response = http.request(self.method, self.url, headers={**self.headers, "Origin": origin})
        assert response.status_code == self.status, (self, response.content)
        return response


@pytest.fixture(scope="module")
def asked(toptank: TopTank, teacher: Person, student: Person, clips: Clips) -> list[Asked]:
    course, film = published_course(toptank, teacher, clips.film)
    enroll(student, course)
    bearer, stranger = student.cloud.headers, make_student(toptank).cloud.headers
    links = [done(student.cloud.post(f"/videos/{film}/playback"), 201)["mp4"][0]["url"] for _ in range(3)]
    etag, part = toptank.http.get(links[2]).headers["etag"], {"Range": "bytes=0-9"}
    cloud, stream = toptank.cloud.url, f"{toptank.cloud.url}/videos/{film}/stream"
    begun = {**teacher.cloud.headers, **VERSION, "Upload-Length": "9", "Upload-Metadata": metadata(kind="practice")}
    return [
        Asked("GET", stream, 206, bearer | part),
        Asked("HEAD", stream, 200, bearer),
        Asked("GET", stream, 401, part),
        Asked("GET", stream, 403, stranger | part),
        Asked("PUT", stream, 405, bearer),
        Asked("GET", links[2], 200, {}),
        Asked("GET", links[2], 206, part),
        Asked("GET", links[2], 304, {"If-None-Match": etag}),
        Asked("GET", links[2], 416, {"Range": "bytes=99999999-"}),
        Asked("GET", links[0], 410, {}),
        Asked("GET", urljoin(links[2], "nothing"), 404, {}),
        Asked("GET", f"{cloud}/play/forged/master.m3u8", 404, {}),
        Asked("POST", f"{cloud}/videos/{film}/playback", 403, stranger),
        Asked("GET", f"{cloud}/videos/{film}", 200, bearer),
        Asked("GET", f"{cloud}/nowhere", 404, {}),
        Asked("OPTIONS", f"{cloud}/uploads", 204, {}),
        Asked("POST", f"{cloud}/uploads", 422, begun),
        Asked("POST", f"{cloud}/uploads", 412, bearer),
    ]


def told(response: httpx.Response) -> set[str]:
    return {name for name in response.headers if name.startswith("access-control-")}


def test_pages_of_the_vps_and_those_that_are_named_read_every_answer(toptank: TopTank, asked: list[Asked]) -> None:
    for origin in (toptank.vps.url, APP):
        for one in asked:
            response = one.by_page_of(origin, toptank.http)
            assert response.headers["access-control-allow-origin"] == origin, one
            readable = response.headers["access-control-expose-headers"].lower().split(", ")
            unread = set(response.headers) - {*readable, *ANY_PAGE_READS, *NO_PAGE_NEEDS}
            assert unread == told(response) == {"access-control-allow-origin", "access-control-expose-headers"}, one


def test_pages_of_others_read_nothing_and_no_cache_takes_one_for_another(toptank: TopTank, asked: list[Asked]) -> None:
    for one in asked:
        for origin in OTHERS:
            response = one.by_page_of(origin, toptank.http)
            assert told(response) == set(), (one, origin)
            assert "Origin" in response.headers.get_list("vary")


def test_how_far_an_upload_is_can_be_read(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    told = metadata(kind="practice", title="Scales")
    headers = {**VERSION, "Upload-Length": str(len(clips.film)), "Upload-Metadata": told, "Origin": APP}
    begun = teacher.cloud.post("/uploads", headers=headers)
    done(begun, 201)
    upload = begun.headers["location"]
    state = teacher.cloud.send("HEAD", upload, headers={**VERSION, "Origin": APP})
    for answer, names in ((begun, {"location"}), (state, {"upload-length", "upload-metadata"})):
        readable = answer.headers["access-control-expose-headers"].lower().split(", ")
        assert {"tus-resumable", "upload-offset", "upload-expires", *names} <= set(readable) & set(answer.headers)
    done(teacher.cloud.send("DELETE", upload, headers=VERSION), 204)


def test_a_page_may_ask_every_route_with_what_that_takes(toptank: TopTank) -> None:
    paths = toptank.http.get(f"{toptank.cloud.url}/openapi.json").json()["paths"]
    assert {"/uploads", "/videos/{video_id}/stream", "/play/{token}/{name}"} < set(paths)
    for path, operations in paths.items():
        for method in operations:
            asking = {"Access-Control-Request-Method": method.upper(), "Access-Control-Request-Headers": SENT}
            answer = toptank.http.options(f"{toptank.cloud.url}{path}", headers={"Origin": APP, **asking})
            assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (204, APP), path
            assert method == "options" or method.upper() in answer.headers["access-control-allow-methods"].split(", ")
            taken = answer.headers["access-control-allow-headers"].lower().split(", ")
            parameters = {
                one["name"].lower() for one in operations[method].get("parameters", []) if one["in"] == "header"
            }
            assert {*SENT.split(", "), *parameters} <= set(taken), path
            for origin in OTHERS:
                assert told(toptank.http.options(answer.url, headers={"Origin": origin, **asking})) == set(), path


def test_the_vps_lets_pages_read_that_are_named_and_no_others(toptank: TopTank) -> None:
    for path, status in (("/api/courses", 200), ("/api/auth/me", 401), ("/nowhere", 404)):
        named = toptank.http.get(f"{toptank.vps.url}{path}", headers={"Origin": APP})
        assert (named.status_code, named.headers["access-control-allow-origin"]) == (status, APP)
        for origin in (*OTHERS, toptank.cloud.url):
            assert told(toptank.http.get(f"{toptank.vps.url}{path}", headers={"Origin": origin})) == set()


def test_a_page_is_told_that_the_node_cannot_ask_the_vps(toptank: TopTank, teacher: Person, clips: Clips) -> None:
    course, film = published_course(toptank, teacher, clips.film)
    students = [make_student(toptank) for _ in range(2)]
    for student in students:
        enroll(student, course)
    assert students[0].watch(film).status_code == 200
    toptank.vps.kill()
    try:
        asked = Asked("GET", f"{toptank.cloud.url}/videos/{film}/stream", 503, students[1].cloud.headers)
        response = asked.by_page_of(APP, toptank.http)
        assert response.headers["access-control-allow-origin"] == APP
        assert {"retry-after", "x-request-id"} <= set(response.headers)
    finally:
        toptank.vps.start()
