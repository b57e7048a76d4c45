"""Roles, routes and other people's things, as the table of `policy` says: each row, for each of them (cases 26, 27)."""

from itertools import product

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from cloud_service.app import create_app as create_node
from cloud_service.settings import CloudSettings
from shared.problems import MEDIA_TYPE
from tests.both.policy import ACTORS, OPEN, TABLES, rows
from tests.both.tenants import NAME, Tenants, make_tenants
from tests.both.toptank import TopTank
from tests.clips import Clips
from tests.settings import vps_settings
from vps_service.app import create_app as create_vps
from vps_service.models import Base

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
NOT_FOR_WHO_ASKS = {400, 409, 410, 412, 413, 415, 416, 422, 429, 460}
MOVING = {
    "rate_limits": "how often somebody tried is counted, refused or not",
    **dict.fromkeys(("nodes", "spent_tokens", "received_events", "playbacks"), "nodes tell of themselves at any time"),
}
FRAMEWORKS = {
    f"{method} {path}"
    for method in ("GET", "HEAD")
    for path in ("/openapi.json", "/docs", "/docs/oauth2-redirect", "/redoc")
}
UNDOCUMENTED = {
    "vps": {f"GET /{page}" for page in ("verify-email", "change-email", "reset-password", "forgot-password")},
    "cloud": {"OPTIONS /uploads/{upload_id}"},
}
"""What is there for anybody besides: pages that links in mails lead to, and what tus can do here."""
KEPT = sorted(table.name for table in Base.metadata.sorted_tables if table.name not in MOVING)
"""Tables of which no refused request may change a row: all there are but the moving ones."""


@pytest.fixture(scope="module")
def tenants(toptank: TopTank, clips: Clips) -> Tenants:
    toptank.simulator.start()
    return make_tenants(toptank, clips)


REFUSING = [(service, route) for service, route in rows() if TABLES[service][route].gets != OPEN]
LETTING_IN = [(service, route) for service, route in rows() if "ok" in TABLES[service][route].gets]


def documented(toptank: TopTank, service: str) -> set[str]:
    """Every operation that the service's OpenAPI document has."""
    paths = toptank.http.get(f"{getattr(toptank, service).url}/openapi.json").json()["paths"]
    return {f"{method.upper()} {path}" for path, item in paths.items() for method in item if method in METHODS}


def made(toptank: TopTank, service: str) -> FastAPI:
    """The service as it is made in its own process, where nothing has begun to run."""
    if service == "vps":
        return create_vps(vps_settings(toptank.database_url, toptank.secrets, toptank.folder))
    keys = {name: (toptank.secrets / name).read_text() for name in ("node_key", "vps_public_key")}
    return create_node(CloudSettings.model_validate({"environment": "local", "data_dir": toptank.folder, **keys}))


def served(app: FastAPI) -> set[str]:
    """Every operation that it has a route for, documented or not."""
    routes = list(iter_route_contexts(app.routes))
    assert all(route.methods for route in routes)
    return {f"{method} {route.path_format}" for route in routes for method in route.methods or ()}


def contents(toptank: TopTank) -> dict[str, str]:
    """What is in the tables that are KEPT."""
    text = "SELECT coalesce(string_agg(one::text, E'\\n' ORDER BY one::text), '') FROM {} one"
    return {table: toptank.sql(text.format(table))[0][0] for table in KEPT}


def test_every_table_that_is_left_out_is_one() -> None:
    assert MOVING.keys() <= {table.name for table in Base.metadata.sorted_tables}


def is_refused(answer: httpx.Response, status: str) -> bool:
    """In this way, and as a problem, whose body a HEAD has not."""
    if str(answer.status_code) != status or answer.headers["content-type"] != MEDIA_TYPE:
        return False
    return answer.request.method == "HEAD" or status != "401" or answer.json()["code"] == "not_authenticated"


def is_let_in(answer: httpx.Response) -> bool:
    """It may still not fit: what is there, or what was sent."""
    if answer.status_code == 401:  # said of what was sent, not of the token
        return answer.json()["code"] in ("bad_credentials", "bad_refresh_token", "bad_webhook")
    return answer.status_code < 400 or answer.status_code in NOT_FOR_WHO_ASKS


@pytest.mark.parametrize("service", TABLES)
def test_every_route_is_in_the_table_and_no_other(toptank: TopTank, service: str) -> None:
    """Case 27: a new one fails here until somebody has said who may what."""
    assert {route.partition(" #")[0] for route in TABLES[service]} == documented(toptank, service)


@pytest.mark.parametrize("service", TABLES)
def test_no_route_is_kept_from_the_table_by_being_undocumented(toptank: TopTank, service: str) -> None:
    undocumented = served(made(toptank, service)) - documented(toptank, service)
    assert undocumented == UNDOCUMENTED[service] | FRAMEWORKS


@pytest.mark.parametrize(("service", "route"), REFUSING)
def test_whoever_may_not_is_refused_and_nothing_is_changed(tenants: Tenants, service: str, route: str) -> None:
    rule = TABLES[service][route]
    refusals = {actor: status for actor, status in rule.by_actor().items() if status != "ok"}
    before = contents(tenants.toptank)
    for actor, status in refusals.items():
        answer = tenants.send(service, route, rule, actor)
        assert is_refused(answer, status), (actor, answer.status_code, answer.text)
    assert contents(tenants.toptank) == before


def test_ids_of_other_kinds_open_nothing(tenants: Tenants) -> None:
    """Each id there is, in the place of each other: to whom it belongs, and to an admin, it is not there."""
    ids = {name: value for name, value in tenants.ids.items() if name.endswith("_id") and name != "draft_id"}
    before = contents(tenants.toptank)
    for service, route in rows():
        rule, plain = TABLES[service][route], route.partition(" #")[0]
        swaps = [(name, other) for name in NAME.findall(plain) if name in ids for other in ids if other != name]
        let_in = [actor for actor in ("buyer", "owner", "admin") if rule.by_actor()[actor] == "ok"]
        for (place, other), actor in product(swaps, let_in):
            answer = tenants.send_to(service, plain, rule, actor, tenants.ids | {place: ids[other]})
            assert answer.status_code in (401, 403, 404), (route, place, other, actor, answer.status_code)
    assert contents(tenants.toptank) == before


def test_what_a_stranger_is_told_of_is_what_there_never_was(tenants: Tenants) -> None:
    """Case 26: that it is somebody else's is not to be seen."""
    nothing = "019a0000-0000-7000-8000-000000000000"
    for service, route in rows():
        rule, plain = TABLES[service][route], route.partition(" #")[0]
        (places, outcomes) = [name for name in NAME.findall(plain) if name.endswith("_id")], rule.by_actor()
        for actor in [actor for actor in ACTORS if outcomes[actor] == "404" and places]:
            there = tenants.send(service, route, rule, actor)
            never = tenants.send_to(service, plain, rule, actor, tenants.ids | dict.fromkeys(places, nothing))
            assert said(there) == said(never), (route, actor)


def said(answer: httpx.Response) -> tuple[int, object]:
    if not answer.content:
        return answer.status_code, None
    return answer.status_code, answer.json() | {"request_id": ""}


@pytest.mark.parametrize(("service", "route"), LETTING_IN)
def test_whoever_may_is_let_in(tenants: Tenants, service: str, route: str) -> None:
    rule = TABLES[service][route]
    for actor, status in rule.by_actor().items():
        if status == "ok":
            tenants.sign_in_again(actor)
            answer = tenants.send(service, route, rule, actor)
            assert is_let_in(answer), (actor, answer.status_code, answer.text)


def test_nobody_has_become_an_admin_by_any_of_this(tenants: Tenants) -> None:
    """Admins are made at the server."""
    admins = tenants.toptank.sql("SELECT username FROM users WHERE role = 'admin'")
    assert admins == [(tenants.people["admin"].username,)]
