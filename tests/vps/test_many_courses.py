"""What lists of courses read of the database: as much as they show, however many courses there are."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import event

from tests.many_courses import IN_THIRTY, IN_THREE, IN_TWENTY, TEACHER, fill
from tests.vps.people import done, make_admin
from tests.vps.running import Vps
from vps_service.courses import queries
from vps_service.courses.queries import LOOKED_THROUGH

pytestmark = pytest.mark.anyio

COURSES, LIMIT = 6_000, 20


@pytest.fixture
async def many(vps: Vps) -> Vps:
    fill(vps.settings.database_url, COURSES)
    return vps


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The parts of a plan that read the courses themselves."""
    if plan.get("Relation Name") == "courses":
        yield plan
    for part in plan.get("Plans", []):
        yield from scans(part)


LOOKED_AT = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


def read(plan: dict[str, Any]) -> float:
    """How many courses were looked at, those that did not fit too."""
    return float(sum(one["Actual Loops"] * sum(one.get(name, 0) for name in LOOKED_AT) for one in scans(plan)))


class Watched:
    """The statements about courses that the VPS gives to its database, with their values."""

    def __init__(self, vps: Vps) -> None:
        self.url = vps.settings.database_url
        self.asked: list[tuple[str, Any]] = []
        engine = vps.sessions.kw["bind"].sync_engine
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, values: Any, ___: Any, ____: Any) -> None:
        if "courses" in statement:
            self.asked.append((statement, values))

    def plans(self, *, general: bool = False) -> list[dict[str, Any]]:
        """How they are answered: by a plan for these values, or a `general` one for any."""
        mode = "force_generic_plan" if general else "force_custom_plan"
        with psycopg.connect(self.url) as connection:
            connection.execute(f"SET plan_cache_mode = {mode}".encode())
            return [_plan(connection, statement, values) for statement, values in self.asked]


def _plan(connection: psycopg.Connection, statement: str, values: Any) -> dict[str, Any]:
    """Explained as a prepared statement, which has plans of both kinds."""
    names = list(values)
    numbered = statement % {name: f"${number}" for number, name in enumerate(names, 1)}
    connection.execute(f"PREPARE asked AS {numbered}".encode())
    with psycopg.ClientCursor(connection) as cursor:
        given = ", ".join(["%s"] * len(names))
        call = f"EXECUTE asked({given})" if names else "EXECUTE asked"
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {call}".encode(), [values[name] for name in names])
        ((found,),) = cursor.fetchall()
    connection.execute("DEALLOCATE asked")
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan


@pytest.mark.parametrize(
    ("query", "at_most"),
    [
        ("", LIMIT + 1),
        (f"teacher={TEACHER}", (LIMIT + 1) * 10 / 8),  # drafts of theirs between
        (f"q={IN_THREE}", 200),
        (f"q={IN_THIRTY}", 1500),
        (f"q={IN_TWENTY}", LOOKED_THROUGH + 4 * LIMIT),
    ],
)
async def test_a_page_reads_a_few_courses_of_many(many: Vps, query: str, at_most: float) -> None:
    watched = Watched(many)
    page = done(await many.http.get(f"/api/courses?{query}"))
    assert len(page["items"]) == LIMIT
    plans = watched.plans()
    assert LIMIT <= sum(map(read, plans)) <= at_most, plans


@pytest.mark.parametrize(
    ("q", "shown"), [("-course", 0), (f"{IN_TWENTY} OR -course", 8), (f"-{IN_THREE}", LIMIT), ("&|!", 0)]
)
async def test_courses_without_a_word_are_looked_for_among_the_newest_only(many: Vps, q: str, shown: int) -> None:
    """Every course has the word; to look for one that has not would be to read them all."""
    watched = Watched(many)
    page = done(await many.http.get("/api/courses", params={"q": q}))
    assert len(page["items"]) == shown
    plans = watched.plans()
    assert sum(map(read, plans)) <= LOOKED_THROUGH + LIMIT + 1, plans


async def test_of_a_word_that_many_have_but_few_of_the_newest_some_are_found(
    many: Vps, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = done(await many.http.get(f"/api/courses?q={IN_TWENTY}&limit=6"))["items"]
    monkeypatch.setattr(queries, "FOUND_AT_MOST", 10)
    watched = Watched(many)
    page = done(await many.http.get(f"/api/courses?q={IN_TWENTY}"))
    assert page["items"][:6] == newest
    assert len(page["items"]) == 8 + 10
    assert sum(map(read, watched.plans())) <= LOOKED_THROUGH + 10 + 18


@pytest.mark.parametrize("query", ["", f"teacher={TEACHER}"])
async def test_it_does_so_by_a_plan_made_for_any_values_too(many: Vps, query: str) -> None:
    """PostgreSQL makes one once a statement has come a few times."""
    watched = Watched(many)
    done(await many.http.get(f"/api/courses?{query}"))
    (plan,) = watched.plans(general=True)
    assert read(plan) <= 2 * LIMIT, plan


async def test_a_page_deep_in_the_list_reads_no_more_than_the_first(many: Vps) -> None:
    """By its cursor, which is the place of a course."""
    ids = await many.rows("SELECT id FROM courses WHERE status = 'published' ORDER BY id LIMIT 500")
    cursor = urlsafe_b64encode(ids[-1]["id"].bytes).rstrip(b"=").decode()
    watched = Watched(many)
    page = done(await many.http.get(f"/api/courses?cursor={cursor}"))
    assert [item["id"] for item in page["items"]] == [str(row["id"]) for row in ids[-2 : -LIMIT - 2 : -1]]
    (plan,) = watched.plans()
    assert read(plan) <= LIMIT + 1, plan


async def test_an_admin_finds_the_few_that_wait_for_review_without_a_look_at_the_others(many: Vps) -> None:
    (waiting,) = await many.rows("SELECT id FROM courses WHERE status = 'draft' ORDER BY id DESC LIMIT 1")
    await many.rows("UPDATE courses SET status = 'pending' WHERE id = :id", id=waiting["id"])
    admin = await make_admin(many)
    watched = Watched(many)
    page = done(await admin.get("/api/admin/courses"))
    assert [item["id"] for item in page["items"]] == [str(waiting["id"])]
    (plan,) = watched.plans()
    assert read(plan) <= 2, plan
