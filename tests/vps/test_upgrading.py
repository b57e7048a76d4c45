"""From the release before this one, with data in it: nothing is lost, everybody stays who they were, and back again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from alembic import command
from alembic.script import ScriptDirectory
from psycopg import sql

from tests.databases import empty_database
from tests.settings import vps_settings
from tests.vps.lives import CODES, gone_for_good, leave
from tests.vps.people import (
    PASSWORD,
    Person,
    done,
    draft_course,
    make_student,
    make_teacher,
    published_course,
    refused,
    sign_in,
    signed_in,
    student_form,
)
from tests.vps.running import Vps, running
from tests.vps.test_totp import switch_on
from vps_service.accounts.passwords import Hasher
from vps_service.migrate import alembic_config, migrate
from vps_service.settings import VpsSettings

BEFORE = "0008"
DATA = Path(__file__).with_name("release_0008.sql").read_text()
COURSE = "019a0000-0000-7000-8000-0000000000c1"
MAY_CHANGE = {*(("change_counter", name) for name in ("last", "mark", "epoch")), ("payments", "asked")}
"""Columns whose values an upgrade, use, and the way back need not keep."""
SIGNATURES = (
    "SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = 'public'",
    "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
    "SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal",
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND probin IS NULL",
)
"""Everything that a schema is made of."""

Contents = dict[str, list[dict[str, Any]]]


@pytest.fixture
def school(template_url: str, secrets_folder: Path, tmp_path: Path) -> Iterator[VpsSettings]:
    """The release of before, in use."""
    with empty_database(template_url) as url:
        settings = vps_settings(url, secrets_folder, tmp_path)
        command.upgrade(alembic_config(settings), BEFORE)
        with psycopg.connect(url) as connection:
            connection.execute(DATA.encode())
        yield settings


def contents(settings: VpsSettings) -> Contents:
    """All there is, row by row in the same order whatever was done to them."""
    with psycopg.connect(settings.database_url) as connection:
        names = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = {}
        for (name,) in names:
            rows = connection.execute(sql.SQL("SELECT to_jsonb(one) FROM {} one").format(sql.Identifier(name)))
            found[name] = sorted((row for (row,) in rows.fetchall()), key=str)
    del found["alembic_version"]
    return found


def schema(settings: VpsSettings) -> list[list[tuple[Any, ...]]]:
    with psycopg.connect(settings.database_url) as connection:
        return [sorted(connection.execute(question.encode()).fetchall(), key=str) for question in SIGNATURES]


def check_kept(before: Contents, now: Contents) -> None:
    """Each value of before is in a row of now; there may be more rows and more columns."""
    for table, rows in before.items():
        for row in rows:
            wanted = {name: value for name, value in row.items() if (table, name) not in MAY_CHANGE}
            assert any(wanted.items() <= one.items() for one in now[table]), (table, row)


def newer_revisions(settings: VpsSettings) -> list[str]:
    """Since the release of before, the oldest first."""
    scripts = ScriptDirectory.from_config(alembic_config(settings))
    return [script.revision for script in reversed(list(scripts.walk_revisions(BEFORE, "head")))][1:]


def test_there_is_something_in_every_table(school: VpsSettings) -> None:
    assert [table for table, rows in contents(school).items() if not rows] == []


def test_upgrading_keeps_everything_and_makes_what_the_models_say(school: VpsSettings) -> None:
    before = contents(school)
    migrate(school)
    check_kept(before, contents(school))
    command.check(alembic_config(school))


def test_each_step_can_be_taken_back_and_taken_again(school: VpsSettings) -> None:
    before, config = contents(school), alembic_config(school)
    schemas = {BEFORE: schema(school)}
    for revision in newer_revisions(school):
        command.upgrade(config, revision)
        schemas[revision] = schema(school)
    for revision in reversed(list(schemas)):
        command.downgrade(config, revision)
        assert schema(school) == schemas[revision], revision
        check_kept(before, contents(school))
    assert contents(school).keys() == before.keys()
    migrate(school)
    assert schema(school) == list(schemas.values())[-1]
    command.check(config)


async def give_them_passwords(vps: Vps) -> None:
    """The hash is salted, so it cannot be written down beforehand."""
    await vps.rows("UPDATE users SET password_hash = :hash", hash=await Hasher(4).hash(PASSWORD))


@pytest.mark.anyio
async def test_everybody_is_who_they_were(school: VpsSettings, secrets_folder: Path) -> None:
    migrate(school)
    async with running(school, secrets_folder) as vps:
        await give_them_passwords(vps)
        for login in ("sara", "sara@example.com", "+201001234567", "omar", "root"):
            await sign_in(vps, login)
        banned = await vps.http.post("/api/auth/login", json={"login": "out", "password": PASSWORD})
        refused(banned, 401, "bad_credentials")
        sara, omar, root = [await sign_in(vps, one) for one in ("sara", "omar", "root")]
        assert [key["course"]["id"] for key in done(await sara.get("/api/keys"))["items"]] == [COURSE]
        assert [one["status"] for one in done(await sara.get("/api/payments"))["items"]] == ["paid"]
        assert [one["title"] for one in done(await sara.get("/api/users/me/videos"))["items"]] == ["Hijaz"]
        shown = done(await omar.get("/api/auth/me"))
        assert (shown["followers"], shown["verified"], shown["balance"]["amount"]) == (1, True, 10_000)
        assert len(done(await omar.get("/api/users/me/shared-videos"))["items"]) == 1
        found = done(await vps.http.get("/api/courses", params={"q": "العود"}))["items"]
        assert [course["id"] for course in found] == [COURSE]
        done(await root.get("/api/admin/nodes"))


@pytest.mark.anyio
async def test_who_was_signed_in_stays_so(school: VpsSettings, secrets_folder: Path) -> None:
    """By the refresh token of before; one that was spent before, or had expired, is worth as little as ever."""
    migrate(school)
    async with running(school, secrets_folder) as vps:
        sara = await refreshed(vps, "kept-over-the-upgrade")
        assert done(await sara.get("/api/auth/me"))["username"] == "sara"
        sara = await refreshed(vps, sara.refresh_token)
        for token in ("expired-long-ago", "spent-before-the-upgrade"):
            answer = await vps.http.post("/api/auth/refresh", json={"refresh_token": token})
            refused(answer, 401, "bad_refresh_token")
        answer = await vps.http.post("/api/auth/refresh", json={"refresh_token": sara.refresh_token})
        refused(answer, 401, "bad_refresh_token")  # the spent one was of its family
        omar = await refreshed(vps, "omars-own-of-before")
        done(await omar.delete("/api/auth/sessions"), 204)
        assert (await omar.get("/api/auth/me")).status_code == 401


async def refreshed(vps: Vps, token: str) -> Person:
    return signed_in(vps, done(await vps.http.post("/api/auth/refresh", json={"refresh_token": token})))


@pytest.mark.anyio
async def test_after_it_was_used_the_way_back_keeps_what_was_there(school: VpsSettings, secrets_folder: Path) -> None:
    """Whatever this release has written, the one of before can go on with what it knows of."""
    before, config = contents(school), alembic_config(school)
    of_before = schema(school)
    migrate(school)
    async with running(school, secrets_folder) as vps:
        await use(vps)
    command.downgrade(config, BEFORE)
    assert schema(school) == of_before
    now = contents(school)
    check_left(now)
    for table in ("payments", "keys", "ledger_entries", "courses", "lessons", "videos", "teachers"):
        check_kept({table: before[table]}, now)
    known = ("id", "username", "email", "phone", "email_verified_at", "phone_verified_at")
    check_kept({"users": [{name: row[name] for name in known} for row in before["users"]]}, now)
    if now["change_counter"][0]["epoch"] == before["change_counter"][0]["epoch"]:  # or nodes start from the beginning
        numbers = sorted(row["number"] for row in now["changes"])
        assert numbers == list(range(1, now["change_counter"][0]["last"] + 1))
    migrate(school)
    command.check(config)


def check_left(now: Contents) -> None:
    """The release of before knows nobody who is leaving, or left: the one is let in, the other by nothing."""
    users = {row["id"]: row for row in now["users"]}
    by_name = {row["username"]: row for row in users.values()}
    assert by_name["nada"]["state"] == "active"
    gone = [row for row in users.values() if row["username"].startswith("deleted:")]
    assert len(gone) == len({row["email"] for row in gone}) == 2
    for row in gone:
        assert (row["state"], row["password_hash"], row["name"], row["phone"]) == ("banned", "!", "", None)
    statuses = {row["title"]: row["status"] for row in now["courses"]}
    assert (statuses["For sale again"], statuses["Archived before"], statuses["Of who is gone"]) == (
        *("published", "archived", "archived"),
    )
    assert not now.keys() & {"leavings", "totp_secrets", "recovery_codes", "phone_codes"}


async def use_a_second_factor(vps: Vps) -> None:
    """And have a code on the way to a phone."""
    rami = await make_student(vps, "rami")
    await switch_on(vps, rami)
    await vps.rows(CODES[0], id=rami.id, phone="+201055544433")
    for table in ("totp_secrets", "recovery_codes", "phone_codes"):
        assert await vps.rows(f"SELECT 1 FROM {table}")


async def leave_and_be_gone(vps: Vps) -> None:
    """Two are gone, a teacher among them; another one is on the way."""
    nour, nada = await make_teacher(vps, "nour"), await make_teacher(vps, "nada")
    await published_course(vps, nour, title="Of who is gone")
    for person in (nour, await make_student(vps, "adam")):
        await gone_for_good(vps, person)
    await published_course(vps, nada, title="For sale again")
    archived = await published_course(vps, nada, title="Archived before")
    done(await nada.post(f"{archived.path}/archive"))
    done(await leave(nada), 202)


async def use(vps: Vps) -> None:
    """A little of everything that writes what was not there before."""
    await give_them_passwords(vps)
    mona, ali = await make_student(vps, "mona"), await make_teacher(vps, "ali")
    claimed = student_form("claims", email="sara@example.com", phone="+201001234567")
    done(await vps.http.post("/api/auth/register", json=claimed), 201)
    await draft_course(ali)
    await use_a_second_factor(vps)
    await leave_and_be_gone(vps)
    done(await mona.put("/api/teachers/omar/follow"))
    await refreshed(vps, mona.refresh_token)
    refused(await vps.http.post("/api/auth/login", json={"login": "mona", "password": "wrong"}), 401, "bad_credentials")
    root = await sign_in(vps, "root")
    done(await root.post(f"/api/admin/users/{ali.id}/ban"))
    done(await mona.delete("/api/auth/sessions"), 204)
