"""A node is put together from its folder, whatever its state: from rows, or else from what lies beside the videos."""

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_service.db import FILE, NewerSchema
from cloud_service.settings import CloudSettings
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import FILM, a_video, broken_files, opened, store
from tests.cloud.things import MARK, position
from tests.faults import damage

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("made_up")]

FIRST, SECOND = a_video(1), a_video(2)
DAMAGES: dict[str, Callable[[Path], None]] = {
    "bytes flipped": damage.flip_bytes,
    "truncated": damage.truncate,
    "header overwritten": damage.overwrite_header,
    "deleted": damage.unlink,
}


@pytest.fixture
async def folder(settings: CloudSettings, made_up: MadeUpVps) -> Path:
    """Of a node with two videos, which was stopped."""
    async with opened(settings) as node:
        await store(node, FIRST, SECOND)
        await node.rights.reset(position(5), MARK)
    return settings.folder


def original(folder: Path, number: int) -> Path:
    video = a_video(number)
    return folder / "media" / "videos" / video.owner_id / video.id / "original"


async def test_an_empty_folder_is_a_node_without_videos(settings: CloudSettings) -> None:
    with broken_files(settings.folder) as broken:
        async with opened(settings) as node:
            assert (len(node.catalogue), node.catalogue.is_confirmed) == (0, True)
    assert broken == set()


async def test_a_good_folder_is_as_it_was(settings: CloudSettings, folder: Path) -> None:
    with broken_files(folder) as broken:
        async with opened(settings) as node:
            assert (node.catalogue.get(FIRST.id), node.catalogue.is_confirmed) == (FIRST, True)
            assert node.rights.position is not None
    assert broken == set()


@pytest.mark.parametrize("kind", DAMAGES)
async def test_a_database_that_is_lost_is_made_anew_from_the_disk_and_confirms_nothing(
    settings: CloudSettings, folder: Path, kind: str
) -> None:
    DAMAGES[kind](folder / FILE)
    with broken_files(folder) as broken:
        async with opened(settings) as node:
            assert (node.catalogue.find(FIRST.id), node.catalogue.find(SECOND.id)) == (FIRST, SECOND)
            assert (node.catalogue.get(FIRST.id), node.catalogue.is_confirmed) == (None, False)
            assert (node.rights.position, node.freshness.was_pulled) == (None, False)
    assert bool(broken) == (kind != "deleted")
    assert original(folder, 1).read_bytes() == original(folder, 2).read_bytes() == FILM


async def test_a_node_that_dies_before_it_is_confirmed_is_not_confirmed_by_its_restart(
    settings: CloudSettings, folder: Path
) -> None:
    damage.unlink(folder / FILE)
    for _ in range(2):
        async with opened(settings) as node:
            assert (node.catalogue.get(FIRST.id), node.catalogue.is_confirmed) == (None, False)


async def test_what_a_deleted_database_left_beside_it_is_not_taken_for_its_rows(
    settings: CloudSettings, folder: Path
) -> None:
    """A write-ahead log without its database."""
    async with opened(settings) as node:
        await store(node, a_video(3))
        (folder / f"{FILE}-wal").rename(folder / "kept-wal")
        damage.unlink(folder / FILE)
    (folder / "kept-wal").rename(folder / f"{FILE}-wal")
    async with opened(settings) as node:
        assert sorted(video.id for video in node.catalogue) == [a_video(number).id for number in (1, 2, 3)]
        assert not node.catalogue.is_confirmed


async def test_files_without_a_row_go_and_rows_of_a_good_database_stay(settings: CloudSettings, folder: Path) -> None:
    async with opened(settings) as node:
        node.store.scratch("half").write_bytes(b"half")
        node.store.scratch(a_video(3).id).write_bytes(FILM)
        node.store.keep(node.store.scratch(a_video(3).id), a_video(3))
    async with opened(settings) as node:
        assert len(node.catalogue) == 2
        assert not original(folder, 3).exists()
        assert list((folder / "media" / "scratch").iterdir()) == []


async def test_a_video_that_was_cut_short_is_not_made_a_row_of(settings: CloudSettings, folder: Path) -> None:
    damage.unlink(folder / FILE)
    original(folder, 1).write_bytes(b"byt")
    async with opened(settings) as node:
        assert list(node.catalogue) == [SECOND]


@pytest.mark.parametrize("lost", ["", "{", None])
async def test_a_video_whose_row_is_lost_on_both_places_is_not_thrown_away(
    settings: CloudSettings, folder: Path, lost: str | None
) -> None:
    """The film of an acknowledged upload may be the only copy; nobody serves it, and nobody deletes it."""
    row = original(folder, 1).with_name("video.json")
    if lost is None:
        row.unlink()
    else:
        row.write_text(lost)
    damage.unlink(folder / FILE)
    async with opened(settings) as node:
        assert node.catalogue.get(FIRST.id) is None
    assert [path.read_bytes() for path in folder.rglob("original")] == [FILM, FILM]


async def test_where_rows_are_made_anew_only_unfinished_uploads_are_swept(
    settings: CloudSettings, folder: Path
) -> None:
    """Of two videos for one lesson one gets the row; the other is kept until everything was compared."""
    async with opened(settings) as node:
        again = replace(FIRST, id=a_video(3).id, stored_at=3)
        node.store.scratch(again.id).write_bytes(FILM)
        node.store.keep(node.store.scratch(again.id), again)
        node.store.scratch("half").write_bytes(b"half")
    damage.unlink(folder / FILE)
    async with opened(settings) as node:
        assert sorted(video.id for video in node.catalogue) == [SECOND.id, again.id]
    assert [original(folder, number).read_bytes() for number in (1, 2, 3)] == [FILM] * 3
    assert list((folder / "media" / "scratch").iterdir()) == []


NONSENSE = {
    "no text": "UPDATE videos SET teacher_username = CAST(x'6f6dff' AS TEXT)",
    "no keys": "INSERT INTO remembered (name, value) VALUES ('jwks', '{')",
    "no epoch": "UPDATE remembered SET value = 'yesterday' WHERE name = 'feed_epoch'",
}


@pytest.mark.parametrize("kind", NONSENSE)
async def test_a_database_that_holds_what_nobody_wrote_is_set_aside_for_one_from_the_disk(
    settings: CloudSettings, folder: Path, kind: str
) -> None:
    with closing(sqlite3.connect(folder / FILE)) as connection, connection:
        assert connection.execute(NONSENSE[kind]).rowcount > 0
    with broken_files(folder) as broken:
        async with opened(settings) as node:
            assert (node.catalogue.find(FIRST.id), node.catalogue.find(SECOND.id)) == (FIRST, SECOND)
            assert (node.catalogue.is_confirmed, node.rights.position) == (False, None)
    assert broken
    assert [original(folder, number).read_bytes() for number in (1, 2)] == [FILM] * 2


async def test_the_file_of_a_later_release_is_left_alone(settings: CloudSettings, folder: Path) -> None:
    with closing(sqlite3.connect(folder / FILE)) as later:
        later.execute("PRAGMA user_version = 99")
    with broken_files(folder) as broken, pytest.raises(NewerSchema):
        async with opened(settings):
            pass
    assert broken == set()
    assert original(folder, 1).exists()


async def test_a_disk_that_cannot_be_read_for_a_moment_stops_the_opening_and_loses_nothing(
    settings: CloudSettings, folder: Path
) -> None:
    row = original(folder, 1).with_name("video.json")
    row.rename(row.with_name("kept"))
    row.mkdir()  # reading it is an OSError
    damage.unlink(folder / FILE)
    with broken_files(folder) as broken, pytest.raises(OSError, match="directory"):
        async with opened(settings):
            pass
    assert broken == set()
    row.rmdir()
    row.with_name("kept").rename(row)
    async with opened(settings) as node:
        assert (node.catalogue.find(FIRST.id), node.catalogue.find(SECOND.id)) == (FIRST, SECOND)
    assert [original(folder, number).read_bytes() for number in (1, 2)] == [FILM] * 2
