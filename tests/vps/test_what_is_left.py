"""What is left of somebody who left: every table and every column that knows of users is looked at."""

import pytest

from tests.simulator import Simulator
from tests.vps.lives import MARK, PHONE, a_full_life, columns_that_name_users, gone_for_good
from tests.vps.people import PASSWORD, Person, announced, done
from tests.vps.running import Vps
from vps_service.leaving.forgetting import KEPT, owners
from vps_service.models import Base, User

pytestmark = pytest.mark.anyio

ADDRESS = "203.0.113.77"
"""From where nobody else has done anything."""
GONE = {
    "follows.follower_id",
    "follows.teacher_id",
    "leavings.user_id",
    "phone_codes.user_id",
    "profiles.user_id",
    "proofs.user_id",
    "recovery_codes.user_id",
    "refresh_tokens.user_id",
    "sign_ins.user_id",
    "totp_secrets.user_id",
    "video_shares.user_id",
}
STAYS = {
    "audit_events.actor_id": "who did what, which nobody may change; people are ids in it",
    "changes.user_id": "nodes may still have to hear of it; trimmed after days",
    "courses.teacher_id": "what is sold is named on the buyers' receipts",
    "keys.user_id": "receipts",
    "ledger_entries.teacher_id": "what was earned, in books that have to add up",
    "payments.user_id": "receipts",
    "playbacks.user_id": "views that a teacher's video has had",
    "teachers.user_id": "what courses and the ledger hang on, with nothing in it",
    "videos.owner_id": "that there was one, which nodes are told when they ask",
}


async def seen_from(vps: Vps, person: Person, address: str) -> None:
    """By all that is written down with where it came from."""
    there = {"X-Forwarded-For": address}
    for password, status in (("not the password", 401), (PASSWORD, 200)):
        login = {"login": person.username, "password": password}
        done(await vps.http.post("/api/auth/login", json=login, headers=there), status)
    assert (await person.get("/api/users/me/export", headers=there)).status_code == 200


def test_of_every_column_that_names_a_user_it_is_said_what_becomes_of_its_rows() -> None:
    """A column that is added fails here until somebody has said whether its rows go when the user does."""
    assert columns_that_name_users() == GONE | STAYS.keys()


def test_rows_that_are_nothing_but_the_users_own_are_known_by_their_foreign_key() -> None:
    own = {f"{column.table.name}.{column.name}" for column in owners()}
    assert own == GONE - {"follows.follower_id", "follows.teacher_id"}


@pytest.mark.settings(trusted_proxies="127.0.0.1")
async def test_nothing_of_the_person_is_anywhere_in_the_database(vps: Vps, simulator: Simulator) -> None:
    life = await a_full_life(vps)
    await seen_from(vps, life.huda, ADDRESS)
    tables = [table.name for table in Base.metadata.sorted_tables]

    async def said() -> str:
        rows = [await vps.rows(f'SELECT t::text AS said FROM "{table}" t') for table in tables]
        return "\n".join(str(row["said"]) for of_table in rows for row in of_table)

    kept = await vps.row("SELECT password_hash, image_id FROM users WHERE id = :id", id=life.huda.id)
    hers = (MARK, PHONE, ADDRESS, *(str(value) for value in kept.values()))
    before = await said()
    assert [told for told in hers if told not in before] == []
    await gone_for_good(vps, life.huda)
    after = await said()
    assert [told for told in hers if told in after] == []
    hers_done = "SELECT what, address FROM audit_events WHERE :id IN (actor_id::text, subject)"
    acts = await vps.rows(hers_done, id=str(life.huda.id))
    assert {act["address"] for act in acts} == {None}
    assert {"signed_in", "sign_in_failed", "data_exported", "account_deleted"} <= {act["what"] for act in acts}


async def test_rows_go_and_stay_as_it_is_said(vps: Vps, simulator: Simulator) -> None:
    life = await a_full_life(vps)

    async def rows(column: str) -> int:
        table, _, name = column.partition(".")
        return len(await vps.rows(f"SELECT 1 FROM {table} WHERE {name} = :id", id=life.huda.id))

    before = {column: await rows(column) for column in GONE | STAYS.keys()}
    assert {column for column, found in before.items() if not found} <= {"leavings.user_id", "audit_events.actor_id"}
    await gone_for_good(vps, life.huda)
    after = {column: await rows(column) for column in GONE | STAYS.keys()}
    assert {column for column, found in after.items() if found} == STAYS.keys()
    for column in STAYS.keys() - {"changes.user_id", "audit_events.actor_id"}:
        assert after[column] == before[column], column


async def test_the_row_of_a_user_is_blank(vps: Vps, simulator: Simulator) -> None:
    life = await a_full_life(vps)
    before = await vps.row("SELECT * FROM users WHERE id = :id", id=life.huda.id)
    await gone_for_good(vps, life.huda)
    after = await vps.row("SELECT * FROM users WHERE id = :id", id=life.huda.id)
    assert set(after) == {column.name for column in User.__table__.columns}
    assert (after["username"], after["password_hash"]) == (f"deleted:{life.huda.id.hex}", "!")
    for name in after.keys() - {*KEPT, "username", "password_hash"}:
        assert after[name] in (None, "", [], {}, False, 0), name
    for name in ("id", "created_at", "role"):
        assert after[name] == before[name]


async def test_receipts_and_books_are_as_before_and_others_keep_what_is_theirs(vps: Vps, simulator: Simulator) -> None:
    life = await a_full_life(vps)
    receipts = "SELECT id, user_id, course_id, status, amount FROM payments ORDER BY id"
    books = "SELECT id, payment_id, account, teacher_id, amount FROM ledger_entries ORDER BY id"
    before = [await vps.rows(question) for question in (receipts, books)]
    await gone_for_good(vps, life.huda)
    assert [await vps.rows(question) for question in (receipts, books)] == before
    (payment,) = done(await life.sara.get("/api/payments"))["items"]
    assert (payment["id"], payment["status"]) == (life.sales[0], "paid")
    assert len(done(await life.sara.get("/api/users/me/videos"))["items"]) == 1
    assert done(await life.sara.get("/api/users/me/shared-videos"))["items"] == []
    assert done(await life.omar.get("/api/auth/me"))["followers"] == 0
    assert {"kind": "course_unpublished", "course_id": life.own.id} in await announced(vps)
