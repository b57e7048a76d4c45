"""Whatever the Host header says, or those that stand for it: who may do what, and what is answered, stays the same
(abuse case 9)."""

import re

import pytest

from tests.both.people import Person
from tests.both.playing import code_of
from tests.both.policy import TABLES
from tests.both.toptank import Service, TopTank
from tests.both.wire import Answer, Wire

SOME = "019a0000-0000-7000-8000-000000000000"
CORPUS = {
    "a path and a query": "a/?forged=",
    "a path that is open": "a/health/live?forged=",
    "a path that is open, and a fragment": "a/health/live#",
    "another's": "evil.example",
    "another's with a port": "evil.example:8443",
    "somebody's at it": "user@evil.example",
    "up": "../../health/live?",
    "nothing": "",
    "markup": "<script>alert(1)</script>",
    "no characters of a name": "a b\\c",
    "two": "evil.example, evil.example",
    "this machine inside": "localhost/metrics?",
}
FORGED = ("evil.example", "health/live?", "<script>", "forged=")
STANDING_FOR_IT = {
    "X-Forwarded-Host": "evil.example",
    "X-Host": "evil.example",
    "Forwarded": "host=evil.example;proto=https",
    "X-Original-URL": "/health/live",
    "X-Rewrite-URL": "/health/live",
    "X-Forwarded-Prefix": "/evil.example",
    "X-Forwarded-Path": "/health/live",
}
REFUSED_AS_HTTP = 400


def asked(service: Service, route: str, host: str | None, headers: dict[str, str]) -> Answer:
    method, path = route.partition(" #")[0].split()
    with Wire(service.url) as wire:
        wire.host = wire.host if host is None else host
        told = headers if method in ("GET", "HEAD") else {**headers, "Content-Length": "0"}
        return wire.request(method, re.sub(r"\{\w+\}", SOME, path), told).answer(method)


def routes(name: str) -> list[str]:
    """But for what tells of now."""
    return sorted({route.partition(" #")[0] for route in TABLES[name]} - {"GET /metrics", "DELETE /api/auth/sessions"})


def is_the_same(answer: Answer, wanted: Answer) -> bool:
    if not answer.body or not wanted.body:
        return answer.status == wanted.status
    return (answer.status, code_of(answer)) == (wanted.status, code_of(wanted))


def repeats(answer: Answer) -> list[str]:
    text = f"{answer.headers}\n{answer.body.decode(errors='replace')}"
    return [forged for forged in FORGED if forged in text]


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("what", CORPUS)
def test_a_forged_host_opens_nothing_and_is_repeated_nowhere(toptank: TopTank, name: str, what: str) -> None:
    service: Service = getattr(toptank, name)
    for route in routes(name):
        wanted = asked(service, route, None, {})
        answer = asked(service, route, CORPUS[what], {})
        assert is_the_same(answer, wanted) or answer.status == REFUSED_AS_HTTP, (route, answer, wanted)
        assert not repeats(answer), (route, answer)


@pytest.mark.parametrize("name", TABLES)
def test_nor_do_headers_that_stand_for_it(toptank: TopTank, student: Person, name: str) -> None:
    service: Service = getattr(toptank, name)
    bearer = {"Authorization": f"Bearer {student.token}"}
    for route in routes(name):
        for headers in ({}, bearer):
            wanted = asked(service, route, None, headers)
            answer = asked(service, route, None, {**headers, **STANDING_FOR_IT})
            assert is_the_same(answer, wanted), (route, answer, wanted)
            assert not repeats(answer), (route, answer)


def test_addresses_in_answers_are_those_of_the_settings(toptank: TopTank, student: Person) -> None:
    """Where clients are sent to: to upload, and to what they have begun."""
    bearer = {"Authorization": f"Bearer {student.token}"}
    forged = {**bearer, **STANDING_FOR_IT}
    place = asked(toptank.vps, "GET /api/users/me/upload-place", "evil.example", forged)
    assert place.status == 200
    assert toptank.cloud.url.encode() in place.body
    assert not repeats(place)
    begun = asked(
        toptank.cloud,
        "POST /uploads",
        "evil.example",
        {**forged, "Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": "kind cHJhY3RpY2U=,title YQ=="},
    )
    assert begun.status == 201, begun
    assert str(begun.headers["location"]).startswith("/uploads/")
    with Wire(toptank.cloud.url) as wire:
        wire.request("DELETE", str(begun.headers["location"]), {**bearer, "Tus-Resumable": "1.0.0"})
        assert wire.answer("DELETE").status == 204
