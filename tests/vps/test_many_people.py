"""What a search for people reads of the database: about as much as it shows, however many people there are."""

from collections.abc import Iterator

import psycopg
import pytest

from tests.databases import copy_of
from tests.vps.people import done, make_admin
from tests.vps.plans import Watched
from tests.vps.running import Vps
from vps_service import searching
from vps_service.searching import LOOKED_THROUGH

pytestmark = pytest.mark.anyio

PEOPLE, LIMIT = 6_000, 20
SELDOM = 6
PEOPLE_IN_ORDER = """
INSERT INTO users (id, role, name, username, email, phone, password_hash)
    SELECT
        (lpad(to_hex(1600000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        'teacher', 'Person ' || CASE WHEN n <= %(seldom)s THEN 'Wafaa' ELSE 'Samir' END,
        'person.' || n, n || '@example.com', '+20' || (1000000000 + n), '!'
    FROM generate_series(1, %(people)s) n;
INSERT INTO teachers (user_id, followers)
    SELECT id, row_number() OVER (ORDER BY id) FROM users WHERE username LIKE 'person.%%';
"""
"""The seldom ones are the oldest, and those with fewest followers."""
PATHS = ("/api/teachers", "/api/admin/users")


@pytest.fixture(scope="module")
def filled_url(template_url: str) -> Iterator[str]:
    with copy_of(template_url) as url:
        with psycopg.connect(url) as connection:
            if not connection.execute("SELECT 1 FROM pg_extension WHERE extname = 'pg_trgm'").fetchone():
                pytest.skip("this PostgreSQL has no pg_trgm")
            for statement in filter(str.strip, PEOPLE_IN_ORDER.split(";\n")):
                values = {"seldom": SELDOM, "people": PEOPLE}
                connection.execute(statement.encode(), values if "%(" in statement else None)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")
        yield url


@pytest.fixture
def database_url(filled_url: str) -> Iterator[str]:
    with copy_of(filled_url) as url:
        yield url


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("q", "shown", "at_most"),
    [
        ("person", LIMIT, 0),
        ("p", LIMIT, 0),
        ("sa", LIMIT, 0),
        ("wafa", SELDOM, SELDOM),
        ("WA", SELDOM, SELDOM),
        ("w", SELDOM, SELDOM),
        ("zxq", 0, 0),
        ("zx", 0, 0),
        ("z", 0, 0),
        ("z.x", 0, 0),
        ("?!", 0, 0),
        ("½", 0, 0),
        ("²²²", 0, 0),
    ],
)
async def test_a_page_reads_a_few_people_of_many(vps: Vps, path: str, q: str, shown: int, at_most: int) -> None:
    admin = await make_admin(vps)
    watched = [Watched(vps, table, "lower(users.name") for table in ("users", "teachers")]
    page = done(await admin.get(path, params={"q": q, "limit": LIMIT}))
    assert len(page["items"]) == shown
    for one in watched:
        assert sum(one.rows_read()) <= LOOKED_THROUGH + at_most


@pytest.mark.parametrize("path", PATHS)
async def test_page_by_page_each_comes_once(vps: Vps, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where some are among the first, and the others are looked for among all."""
    monkeypatch.setattr(searching, "LOOKED_THROUGH", PEOPLE - 3)
    admin = await make_admin(vps)
    seen, asked = [], {"q": "wafaa", "limit": "2"}
    while True:
        page = done(await admin.get(path, params=asked))
        seen += [item["username"] for item in page["items"]]
        if page["next"] is None:
            break
        asked["cursor"] = page["next"]
    assert seen == [f"person.{number}" for number in range(SELDOM, 0, -1)]
