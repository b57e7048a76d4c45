"""Taking along everything that one has: a zip of JSON, complete, without secrets, and without anybody else's things."""

import io
import json
import zipfile
from typing import Any

import pytest
from PIL import Image

from tests.simulator import Simulator
from tests.vps.lives import MARK, a_full_life, columns_that_name_users
from tests.vps.people import Person, done, make_admin, make_student, make_teacher, refused
from tests.vps.running import Vps
from vps_service.leaving.export import ROWS_AT_ONCE, export
from vps_service.leaving.parts import COLUMNS
from vps_service.leaving.routes import EXPORTS_AN_HOUR
from vps_service.models import Base, User

pytestmark = pytest.mark.anyio

NOT_TOLD = {
    "users": {"password_hash", "generation"},
    "profiles": {"user_id"},
    "teachers": {"user_id"},
    "sign_ins": {"user_id"},
    "follows": {"teacher_id", "follower_id", "counts"},
    "courses": {"teacher_id", "search"},
    "sections": set[str](),
    "lessons": set[str](),
    "videos": {"owner_id", "node_id", "replaces_id", "missing_since"},
    "video_shares": {"id", "user_id"},
    "keys": {"user_id"},
    "payments": {"user_id", "checkout_url", "idempotency_key", "asked", "answered"},
    "ledger_entries": {"account", "teacher_id"},
    "audit_events": {"actor_id", "request_id"},
    "playbacks": {"id", "created_at", "user_id", "node_id", "ends_at", "moved_at", "end"},
}
"""Columns of exported tables that are secrets, that say whose the row is, or that mean something to machines only."""
NOT_EXPORTED = {
    "changes": "ids only, for nodes",
    "leavings": "who is leaving is signed out",
    "proofs": "mailed links, and to which of their addresses",
    "phone_codes": "a phone that they have yet to prove, and the code's hash",
    "totp_secrets": "a secret; since when there is one is told with the account",
    "recovery_codes": "hashes of secrets",
    "refresh_tokens": "what is not secret of them is told with the sign-ins that they are of",
}


async def exported(person: Person) -> dict[str, Any]:
    """Each file of the archive, read."""
    answer = await person.get("/api/users/me/export")
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        names = [name for name in archive.namelist() if name.endswith(".json")]
        read = {name.removesuffix(".json"): json.loads(archive.read(name)) for name in names}
        for name in set(archive.namelist()) - set(names):
            read[name] = archive.read(name)
    return read


def test_every_column_is_exported_or_it_is_said_that_it_is_not() -> None:
    """A column that is added fails here until somebody has said whether its user is told."""
    told = {model.__table__.name: set(columns) for model, columns in COLUMNS.items()}  # type: ignore[attr-defined]
    assert told.keys() == NOT_TOLD.keys()
    for table in Base.metadata.sorted_tables:
        if table.name in told:
            assert not told[table.name] & NOT_TOLD[table.name], table.name
            assert told[table.name] | NOT_TOLD[table.name] == {column.name for column in table.columns}, table.name


def test_every_table_that_knows_of_users_is_exported_or_it_is_said_that_it_is_not() -> None:
    tables = {column.partition(".")[0] for column in columns_that_name_users()}
    assert tables <= NOT_TOLD.keys() | NOT_EXPORTED.keys()


async def test_somebody_who_has_done_everything_gets_all_of_it(vps: Vps, simulator: Simulator) -> None:
    life = await a_full_life(vps)
    found = await exported(life.huda)
    (account,) = found["account"]
    assert account["id"] == str(life.huda.id)
    assert (account["username"], account["email"], account["role"]) == (MARK, f"{MARK}@example.com", "teacher")
    assert account["created_at"].endswith("Z")
    assert [profile["bio"] for profile in found["profile"]] == [f"I am {MARK}."]
    assert found["teacher"][0]["followers"] == 1
    assert len(found["sign_ins"]) == 2
    assert [follow["teacher"] for follow in found["following"]] == ["omar"]
    assert [course["id"] for course in found["courses"]] == [life.own.id]
    assert [section["id"] for section in found["sections"]] == [life.own.section_id]
    assert [lesson["id"] for lesson in found["lessons"]] == [life.own.lesson_id]
    videos = {video["id"]: video for video in found["videos"]}
    assert videos.keys() == {str(life.course_video), str(life.practice)}
    assert videos[str(life.practice)]["composer"] == MARK
    assert videos[str(life.practice)]["node"] == "http://node-1.test"
    assert [(share["video_id"], share["with"]) for share in found["shared_by_me"]] == [(str(life.practice), "sara")]
    assert [share["by"] for share in found["shared_with_me"]] == ["sara"]
    assert [key["course_title"] for key in found["keys"]] == ["The ney"]
    assert [payment["course_id"] for payment in found["payments"]] == [life.bought.id]
    assert [(entry["reason"], entry["amount"]) for entry in found["earnings"]] == [("sale", 10_000)]
    assert [playback["watched"] for playback in found["playbacks"]] == [[[0, 10]]]
    assert Image.open(io.BytesIO(found["image.webp"])).size == (512, 512)


async def test_no_secret_and_nothing_of_anybody_else_is_in_it(vps: Vps, simulator: Simulator) -> None:
    life = await a_full_life(vps)
    found = await exported(life.huda)
    said = json.dumps({name: part for name, part in found.items() if name != "image.webp"})
    hashes = [row["password_hash"] for row in await vps.rows("SELECT password_hash FROM users")]
    hashes += [row["hex"] for row in await vps.rows("SELECT encode(token_hash, 'hex') AS hex FROM refresh_tokens")]
    sales = [row["id"] for row in await vps.rows("SELECT id FROM payments WHERE user_id = :id", id=life.sara.id)]
    for told in (*hashes, life.huda.access_token, life.huda.refresh_token, "sara@example.com", str(life.sara.id)):
        assert told not in said
    assert not {payment["id"] for payment in found["payments"]} & {str(sale) for sale in sales}


async def test_it_is_not_asked_for_all_day(vps: Vps) -> None:
    student = await make_student(vps)
    statuses = [(await student.get("/api/users/me/export")).status_code for _ in range(EXPORTS_AN_HOUR + 1)]
    assert statuses == [*[200] * EXPORTS_AN_HOUR, 429]


async def test_who_has_nothing_gets_that(vps: Vps) -> None:
    for person in (await make_student(vps), await make_teacher(vps), await make_admin(vps)):
        found = await exported(person)
        assert found["account"][0]["username"] == person.username
        assert found["payments"] == found["videos"] == found["playbacks"] == []
    refused(await vps.http.get("/api/users/me/export"), 401, "not_authenticated")


async def test_more_than_is_read_at_once_is_there_once_and_whole(vps: Vps) -> None:
    student = await make_student(vps)
    many = 2 * ROWS_AT_ONCE + 7
    await vps.rows(
        "INSERT INTO playbacks (id, video_id, user_id, node_id, began_at, ends_at, watched)"
        " SELECT gen_random_uuid(), gen_random_uuid(), :id, 'node-1', now(), now() + interval '1 hour', '[]'"
        " FROM generate_series(1, :many)",
        id=student.id,
        many=many,
    )
    playbacks = (await exported(student))["playbacks"]
    assert len({playback["video_id"] for playback in playbacks}) == len(playbacks) == many


async def test_exactly_as_many_as_are_read_at_once_are_no_more(vps: Vps) -> None:
    student = await make_student(vps)
    await vps.rows(
        "INSERT INTO playbacks (id, video_id, user_id, node_id, began_at, ends_at, watched)"
        " SELECT gen_random_uuid(), gen_random_uuid(), :id, 'node-1', now(), now() + interval '1 hour', '[]'"
        " FROM generate_series(1, :many)",
        id=student.id,
        many=ROWS_AT_ONCE,
    )
    assert len((await exported(student))["playbacks"]) == ROWS_AT_ONCE


@pytest.mark.settings(database_pool=1)
async def test_who_reads_slowly_keeps_nobody_from_the_database(vps: Vps) -> None:
    student = await make_student(vps)
    async with vps.sessions() as session:
        user = await session.get_one(User, student.id)
    readers = [export(vps.sessions, vps.app.state.vps.images, user) for _ in range(5)]
    for reader in readers:
        assert (await anext(reader)).startswith(b"PK")
    done(await student.get("/api/auth/me"))
    for reader in readers:
        assert b"account.json" in b"".join([chunk async for chunk in reader])


async def test_it_is_not_kept_by_anybody_on_the_way(vps: Vps) -> None:
    answer = await (await make_student(vps)).get("/api/users/me/export")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == 'attachment; filename="toptank-sara.zip"'
