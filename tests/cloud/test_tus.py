"""How long resumable uploads are kept, what room is promised to them, and what a node finds of them when it starts."""

import asyncio
import os
import time
from collections.abc import AsyncIterator

import pytest

from cloud_service.settings import CloudSettings
from cloud_service.uploads.tus.errors import UploadTakenOver
from cloud_service.uploads.tus.headers import http_date
from cloud_service.uploads.tus.living import UNFINISHED_PER_USER
from cloud_service.uploads.tus.turns import Turns
from tests.clips import Clips
from tests.cloud.made_up import MadeUpVps
from tests.cloud.resuming import CREATION, HEAD, Permitting, begin, head, is_empty, parts, patch, patch_that_drops, rows
from tests.cloud.running import RunningNode, eventually, opened, running_node
from tests.cloud.things import COURSE, TEACHER, USER, VIDEO
from tests.tus.table import OCTETS, VERSION, metadata

pytestmark = pytest.mark.anyio


@pytest.fixture
async def node(settings: CloudSettings, made_up: MadeUpVps) -> AsyncIterator[RunningNode]:
    Permitting(made_up)
    async with running_node(settings) as node:
        yield node


async def end(node: RunningNode, address: str) -> None:
    assert (await node.send("DELETE", address, USER, headers=VERSION)).status_code == 204


# --- how long -------------------------------------------------------------------------------------------


@pytest.mark.settings(upload_kept_s=1)
async def test_an_upload_that_nobody_goes_on_with_expires(node: RunningNode, settings: CloudSettings) -> None:
    address = await begin(node)
    await eventually(lambda: is_empty(node, settings))
    assert (await head(node, address)).status_code == 404


async def test_bytes_that_arrive_put_its_end_off(node: RunningNode, settings: CloudSettings) -> None:
    address = await begin(node)
    (part,) = parts(settings)
    nearly = time.time() - settings.upload_kept_s + 60
    os.utime(part, (nearly, nearly))
    soon = (await head(node, address)).headers["upload-expires"]
    assert soon == http_date(nearly + settings.upload_kept_s)
    assert await patch(node, address, 0, HEAD) == 204
    later = (await head(node, address)).headers["upload-expires"]
    assert later in {http_date(time.time() + settings.upload_kept_s - near) for near in range(60)}


async def test_what_has_expired_is_not_there_even_before_it_is_swept(
    node: RunningNode, settings: CloudSettings
) -> None:
    address = await begin(node)
    os.utime(parts(settings)[0], (0, 0))
    assert (await head(node, address)).status_code == 404
    assert await patch(node, address, 0, HEAD) == 404
    assert node.node
    await node.node.resumable.sweep()
    assert await is_empty(node, settings)


@pytest.mark.settings(upload_kept_s=0)
async def test_where_nothing_is_kept_a_dropped_upload_is_gone_at_once(
    node: RunningNode, settings: CloudSettings
) -> None:
    address = await begin(node)
    assert await patch(node, address, 0, HEAD) == 204
    assert (await head(node, address)).status_code == 200
    await end(node, address)
    dropped = await begin(node)
    await patch_that_drops(node, dropped, HEAD)
    assert await is_empty(node, settings)


async def test_where_uploads_are_kept_a_dropped_one_is_too(node: RunningNode, settings: CloudSettings) -> None:
    address = await begin(node)
    await patch_that_drops(node, address, HEAD)
    assert (await head(node, address)).headers["upload-offset"] == str(len(HEAD) - 1)


# --- room -----------------------------------------------------------------------------------------------


@pytest.mark.settings(disk_reserve_bytes=2**60)
async def test_without_room_for_all_of_it_nothing_is_begun(node: RunningNode, settings: CloudSettings) -> None:
    answer = await node.send("POST", "/uploads", USER, headers={**CREATION, "Upload-Length": "10000"})
    assert (answer.status_code, answer.json()["code"]) == (507, "storage_full")
    assert await is_empty(node, settings)


async def test_a_user_has_so_many_unfinished_uploads_and_no_more(node: RunningNode) -> None:
    addresses = [await begin(node, 1000) for _ in range(UNFINISHED_PER_USER)]
    answer = await node.send("POST", "/uploads", USER, headers={**CREATION, "Upload-Length": "1000"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_uploads")
    others = await node.send("POST", "/uploads", TEACHER, headers={**CREATION, "Upload-Length": "1000"})
    assert others.status_code == 201
    await end(node, addresses[0])
    await begin(node, 1000)


# --- begun twice ----------------------------------------------------------------------------------------


async def test_a_creation_whose_answer_was_lost_is_repeated_with_its_key(
    node: RunningNode, settings: CloudSettings
) -> None:
    told = {**CREATION, "Upload-Length": "10000", "Idempotency-Key": "once"}
    first = await node.send("POST", "/uploads", USER, headers=told)
    assert await patch(node, first.headers["location"], 0, HEAD) == 204
    again = await node.send("POST", "/uploads", USER, headers=told)
    assert (again.status_code, again.headers["location"]) == (201, first.headers["location"])
    assert again.headers["upload-offset"] == str(len(HEAD))
    other = await node.send("POST", "/uploads", USER, headers={**told, "Upload-Length": "10001"})
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    theirs = await node.send("POST", "/uploads", TEACHER, headers=told)
    assert theirs.headers["location"] != first.headers["location"]
    assert len(parts(settings)) == 2
    await end(node, first.headers["location"])
    assert (await node.send("POST", "/uploads", USER, headers=told)).headers["upload-offset"] == "0"


async def test_of_many_creations_at_once_with_one_key_there_is_one(node: RunningNode, settings: CloudSettings) -> None:
    told = {**CREATION, "Upload-Length": "10000", "Idempotency-Key": "at once"}
    answers = await asyncio.gather(*(node.send("POST", "/uploads", USER, headers=told) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.headers["location"] for answer in answers if answer.status_code == 201}) == 1
    assert len(parts(settings)) == len(await rows(node)) == 1


# --- the last byte --------------------------------------------------------------------------------------


async def test_of_a_course_that_was_deleted_meanwhile_nothing_is_kept(
    node: RunningNode, settings: CloudSettings, clips: Clips
) -> None:
    """It was all but stored: the deletion is heard of before the row, and wins."""
    assert node.node
    told = {"Upload-Metadata": metadata(lesson_id=str(VIDEO)), "Upload-Length": str(len(clips.film))}
    begun = await node.send("POST", "/uploads", USER, headers={**CREATION, **told})
    async with node.node.database.transaction() as transaction:
        await transaction.execute("INSERT INTO deleted_courses (id) VALUES (?)", (str(COURSE),))
    headers = {**VERSION, **OCTETS, "Upload-Offset": "0"}
    answer = await node.send("PATCH", begun.headers["location"], USER, headers=headers, content=clips.film)
    assert (answer.status_code, answer.json()["code"]) == (404, "lesson_not_found")
    assert await is_empty(node, settings)
    assert list((settings.folder / "media" / "videos").glob("*/*")) == []


# --- when the node starts -------------------------------------------------------------------------------


async def test_a_node_that_starts_finds_rows_and_parts_one_to_one(settings: CloudSettings, made_up: MadeUpVps) -> None:
    Permitting(made_up)
    async with running_node(settings) as node:
        kept, without_part, whole = [(await begin(node)).rpartition("/")[2] for _ in range(3)]
        assert await patch(node, f"/uploads/{kept}", 0, HEAD) == 204
    folder = settings.folder / "media" / "parts"
    (folder / without_part).unlink()
    (folder / "of-no-row").write_bytes(b"x")
    (folder / whole).write_bytes(bytes(10_000))
    async with opened(settings) as after:
        assert {part.name: part.stat().st_size for part in folder.iterdir()} == {kept: len(HEAD), whole: 9_999}
        assert after.space.under_way() == {kept, whole}
        found = await after.database.fetch("SELECT id FROM resumable_uploads")
        assert {row["id"] for row in found} == {kept, whole}


async def test_where_nothing_is_kept_a_restart_ends_what_is_unfinished(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    Permitting(made_up)
    async with running_node(settings) as node:
        await begin(node)
    assert parts(settings)
    async with opened(settings.model_copy(update={"upload_kept_s": 0})) as after:
        assert parts(settings) == []
        assert after.space.under_way() == frozenset()


async def test_rows_that_are_lost_are_made_anew_from_what_lies_beside_the_parts(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    Permitting(made_up)
    told = {**CREATION, "Upload-Length": "10000", "Idempotency-Key": "kept"}
    async with running_node(settings) as node:
        kept = str((await node.send("POST", "/uploads", USER, headers=told)).headers["location"])
        assert await patch(node, kept, 0, HEAD) == 204
        unreadable, ended, unknown = [await begin(node) for _ in range(3)]
        await end(node, ended)
    begun = settings.folder / "media" / "begun"
    assert not (begun / f"{ended.rpartition('/')[2]}.json").exists()
    (begun / f"{unreadable.rpartition('/')[2]}.json").write_bytes(b"{}")
    (begun / f"{unknown.rpartition('/')[2]}.json").unlink()
    (settings.folder / "node.sqlite3").write_bytes(b"no database at all " * 1000)
    async with running_node(settings) as node:
        assert [f"/uploads/{part.name}" for part in parts(settings)] == [kept]
        assert [f"/uploads/{path.stem}" for path in begun.iterdir()] == [kept]
        again = await node.send("POST", "/uploads", USER, headers=told)
        assert (again.headers["location"], again.headers["upload-offset"]) == (kept, str(len(HEAD)))
        shown = await head(node, kept)
        assert shown.headers["upload-metadata"] == CREATION["Upload-Metadata"]


async def test_an_upload_from_before_its_row_was_kept_beside_it_gets_one(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    Permitting(made_up)
    async with running_node(settings) as node:
        await begin(node)
    (begun,) = (settings.folder / "media" / "begun").iterdir()
    row = begun.read_bytes()
    begun.unlink()
    async with opened(settings):
        assert begun.read_bytes() == row


# --- one at a time --------------------------------------------------------------------------------------


async def test_of_three_at_once_only_the_last_one_receives() -> None:
    turns, told = Turns(), []

    async def receive(name: str) -> None:
        async with turns.next() as turn:
            try:
                async with turn.receiving():
                    told.append(f"{name} receives")
                    await asyncio.sleep(0.05 if name == "third" else 60)
            except UploadTakenOver:
                told.append(f"{name} ends")
                await asyncio.sleep(0)

    first = asyncio.create_task(receive("first"))
    await asyncio.sleep(0)
    await asyncio.gather(first, receive("second"), receive("third"))
    assert told == ["first receives", "first ends", "second ends", "third receives"]
    assert turns.is_free
