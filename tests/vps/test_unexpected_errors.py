"""What nobody expected is answered without detail, by every route of the VPS (abuse case 53)."""

import pytest

from tests.settings import PRODUCTION
from tests.vps.people import make_admin
from tests.vps.running import Vps
from tests.vps.test_openapi import ANYONE, NODE, WHO_MAY, called

pytestmark = pytest.mark.anyio

SAID_BY_OTHERS = ("gone", "relation", "SELECT", "sqlalchemy", "psycopg", "Traceback", "line ", ".py")
"""Words of databases, libraries and interpreters."""
TOLD = {"type", "title", "status", "code", "request_id"}


async def test_every_route_answers_the_unexpected_without_detail(vps: Vps) -> None:
    admin = await make_admin(vps)
    await lose_the_tables(vps, but=("node_keys", "spent_tokens"))  # a node is still believed to be one
    failed = set()
    for route, who in WHO_MAY.items():
        method, path = called(route)
        if who == NODE:
            answer = await vps.node.send(vps.node.token(method, path), method, path)
        else:
            answer = await admin.send(method, path)
        assert not [word for word in SAID_BY_OTHERS if word in answer.text], (route, answer.text)
        if answer.status_code == 500:
            assert (set(answer.json()), answer.json()["code"]) == (TOLD, "internal_error"), route
            failed.add(route)
    assert {route for route, who in WHO_MAY.items() if who not in (ANYONE, NODE)} <= failed
    assert "GET /api/courses" in failed


async def lose_the_tables(vps: Vps, but: tuple[str, ...]) -> None:
    for row in await vps.rows("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'"):
        if row["name"] not in but:
            await vps.rows(f"ALTER TABLE {row['name']} RENAME TO gone_{row['name']}")


@pytest.mark.settings(**PRODUCTION)
@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", "/docs/oauth2-redirect"])
async def test_in_production_the_vps_does_not_describe_itself(vps: Vps, path: str) -> None:
    assert (await vps.http.get(path)).status_code == 404
    assert not vps.app.debug
