"""What lists of courses read of the database: as much as they show, however many courses there are."""

from base64 import urlsafe_b64encode
from collections.abc import Iterator

import pytest

from tests.databases import copy_of
from tests.many_courses import IN_THIRTY, IN_THREE, IN_TWENTY, TEACHER, fill
from tests.vps.people import done, make_admin
from tests.vps.plans import Watched
from tests.vps.running import Vps
from vps_service.courses import queries
from vps_service.courses.queries import LOOKED_THROUGH

pytestmark = pytest.mark.anyio

COURSES, LIMIT = 6_000, 20


@pytest.fixture(scope="module")
def filled_url(template_url: str) -> Iterator[str]:
    with copy_of(template_url) as url:
        fill(url, COURSES)
        yield url


@pytest.fixture
def database_url(filled_url: str) -> Iterator[str]:
    with copy_of(filled_url) as url:
        yield url


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
async def test_a_page_reads_a_few_courses_of_many(vps: Vps, query: str, at_most: float) -> None:
    watched = Watched(vps, "courses")
    page = done(await vps.http.get(f"/api/courses?{query}"))
    assert len(page["items"]) == LIMIT
    assert LIMIT <= sum(watched.rows_read()) <= at_most


@pytest.mark.parametrize(
    ("q", "shown"), [("-course", 0), (f"{IN_TWENTY} OR -course", 8), (f"-{IN_THREE}", LIMIT), ("&|!", 0)]
)
async def test_courses_without_a_word_are_looked_for_among_the_newest_only(vps: Vps, q: str, shown: int) -> None:
    """Every course has the word; to look for one that has not would be to read them all."""
    watched = Watched(vps, "courses")
    page = done(await vps.http.get("/api/courses", params={"q": q}))
    assert len(page["items"]) == shown
    assert sum(watched.rows_read()) <= LOOKED_THROUGH + LIMIT + 1


async def test_of_a_word_that_many_have_but_few_of_the_newest_some_are_found(
    vps: Vps, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = done(await vps.http.get(f"/api/courses?q={IN_TWENTY}&limit=6"))["items"]
    monkeypatch.setattr(queries, "FOUND_AT_MOST", 10)
    watched = Watched(vps, "courses")
    page = done(await vps.http.get(f"/api/courses?q={IN_TWENTY}"))
    assert page["items"][:6] == newest
    assert len(page["items"]) == 8 + 10
    assert sum(watched.rows_read()) <= LOOKED_THROUGH + 10 + 18


@pytest.mark.parametrize("query", ["", f"teacher={TEACHER}"])
async def test_it_does_so_by_a_plan_made_for_any_values_too(vps: Vps, query: str) -> None:
    """PostgreSQL makes one once a statement has come a few times."""
    watched = Watched(vps, "courses")
    done(await vps.http.get(f"/api/courses?{query}"))
    (read,) = watched.rows_read(general=True)
    assert read <= 2 * LIMIT


async def test_a_page_deep_in_the_list_reads_no_more_than_the_first(vps: Vps) -> None:
    """By its cursor, which is the place of a course."""
    ids = await vps.rows("SELECT id FROM courses WHERE status = 'published' ORDER BY id LIMIT 500")
    cursor = urlsafe_b64encode(ids[-1]["id"].bytes).rstrip(b"=").decode()
    watched = Watched(vps, "courses")
    page = done(await vps.http.get(f"/api/courses?cursor={cursor}"))
    assert [item["id"] for item in page["items"]] == [str(row["id"]) for row in ids[-2 : -LIMIT - 2 : -1]]
    (read,) = watched.rows_read()
    assert read <= LIMIT + 1


async def test_an_admin_finds_the_few_that_wait_for_review_without_a_look_at_the_others(vps: Vps) -> None:
    (waiting,) = await vps.rows("SELECT id FROM courses WHERE status = 'draft' ORDER BY id DESC LIMIT 1")
    await vps.rows("UPDATE courses SET status = 'pending' WHERE id = :id", id=waiting["id"])
    admin = await make_admin(vps)
    watched = Watched(vps, "courses")
    page = done(await admin.get("/api/admin/courses"))
    assert [item["id"] for item in page["items"]] == [str(waiting["id"])]
    (read,) = watched.rows_read()
    assert read <= 2
