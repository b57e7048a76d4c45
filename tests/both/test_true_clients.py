"""Through the edge it is known who asks, and several VPS processes count together what they try (abuse case 11)."""

from collections.abc import Iterator
from itertools import cycle

import httpx
import pytest

from tests.both.edges import BEHIND_AN_EDGE, Edge
from tests.both.people import make_student
from tests.both.toptank import Service, TopTank
from tests.processes import free_port

SETTINGS = BEHIND_AN_EDGE | {"TOPTANK_TRUSTED_PROXIES": "127.0.0.0/8", "TOPTANK_LOGIN_FAILURES": "6"}
MADE_UP = "203.0.113.7"


def guess(url: str, login: str, **headers: str) -> httpx.Response:
    return httpx.post(f"{url}/api/auth/login", json={"login": login, "password": "wrong"}, headers=headers)


@pytest.fixture(scope="module")
def another_vps(toptank: TopTank) -> Iterator[Service]:
    """A second process on the same database."""
    port = free_port()
    environment = toptank.environment | {"TOPTANK_VPS_PORT": str(port)}
    vps = Service("vps_service", port, environment, toptank.folder / "vps-2.log")
    vps.start()
    yield vps
    vps.stop()


@pytest.mark.parametrize("header", ["X-Forwarded-For", "x-forwarded-for"])
def test_the_edge_tells_who_asked_and_not_what_they_say_of_themselves(
    toptank: TopTank, edge: Edge, header: str
) -> None:
    assert guess(edge.vps, f"nobody.{edge.name}", **{header: MADE_UP}).status_code == 401
    addresses = toptank.sql("SELECT address FROM audit_events WHERE what = 'sign_in_failed'")
    assert set(addresses) == {("127.0.0.1",)}


def test_guesses_with_rotating_headers_are_one_clients_behind_the_edge(edge: Edge) -> None:
    headers = [f"198.51.100.{n}, 203.0.113.{n}" for n in range(12)]
    answers = [guess(edge.vps, f"victim.{edge.name}", **{"X-Forwarded-For": told}) for told in headers]
    assert [answer.status_code for answer in answers] == [401] * 6 + [429] * 6
    assert int(answers[-1].headers["retry-after"]) > 0


def test_two_processes_count_together(toptank: TopTank, another_vps: Service) -> None:
    student = make_student(toptank)
    urls = cycle((toptank.vps.url, another_vps.url))
    statuses = [guess(next(urls), student.username).status_code for _ in range(10)]
    assert statuses == [401] * 6 + [429] * 4
