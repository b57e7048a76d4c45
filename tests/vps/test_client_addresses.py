"""Who really asks: the peer, and what proxies say that are trusted, from the right."""

from ipaddress import ip_network

import pytest

from tests.vps.people import make_student
from tests.vps.running import Vps
from vps_service.clients import client_of

NETWORKS = [ip_network(text) for text in ("10.0.0.0/8", "fd00::/8", "192.0.2.7/32")]
EDGE = "10.0.0.1"


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1, 10.0.0.9"], "203.0.113.5"),
        (EDGE, [], EDGE),
        (EDGE, ["198.51.100.1"], "198.51.100.1"),
        (EDGE, ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        (EDGE, ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        (EDGE, ["6.6.6.6, 198.51.100.1, 192.0.2.7 ,10.2.3.4"], "198.51.100.1"),
        (EDGE, ["198.51.100.1", "10.2.3.4"], "198.51.100.1"),
        (EDGE, ["10.9.9.9, 10.2.3.4"], "10.9.9.9"),
        (EDGE, ["198.51.100.1:4711"], "198.51.100.1"),
        (EDGE, ["[2001:db8::1]:4711"], "2001:db8::1"),
        (EDGE, ["2001:DB8:0::1"], "2001:db8::1"),
        (EDGE, ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd12::1", ["2001:db8::1"], "2001:db8::1"),
        (EDGE, ["198.51.100.1, unknown"], EDGE),
        (EDGE, ["198.51.100.1, unknown, 10.0.0.2"], "10.0.0.2"),
        (EDGE, ["198.51.100.1,"], EDGE),
        (EDGE, [""], EDGE),
        (EDGE, ["' OR 1=1 --"], EDGE),
        (EDGE, ["\xff"], EDGE),
        (EDGE, ["1" * 5000], EDGE),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy(peer: str, forwarded: list[str], client: str) -> None:
    assert client_of(peer, forwarded, NETWORKS) == client


@pytest.mark.anyio
@pytest.mark.settings(trusted_proxies="127.0.0.1, 10.0.0.0/8")
@pytest.mark.parametrize("name", ["X-Forwarded-For", "x-forwarded-for"])
async def test_what_is_written_down_is_the_true_address(vps: Vps, name: str) -> None:
    await make_student(vps)
    headers = {name: "6.6.6.6, 203.0.113.7, 10.1.1.1"}
    await vps.http.post("/api/auth/login", json={"login": "sara", "password": "wrong"}, headers=headers)
    (event,) = await vps.rows("SELECT address FROM audit_events WHERE what = 'sign_in_failed'")
    assert event["address"] == "203.0.113.7"


@pytest.mark.anyio
async def test_who_is_no_proxy_is_not_believed(vps: Vps) -> None:
    login = {"login": "sara", "password": "wrong"}
    await vps.http.post("/api/auth/login", json=login, headers={"X-Forwarded-For": "203.0.113.7"})
    (event,) = await vps.rows("SELECT address FROM audit_events WHERE what = 'sign_in_failed'")
    assert event["address"] == "127.0.0.1"
