"""The videos on a node: a deletion denies at once, and what it could not finish it finishes the next time."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_service.access.rights import Rights
from cloud_service.db import Database
from cloud_service.videos.actions import remove_video
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from tests.cloud.things import COURSE, MARK, change, position

pytestmark = pytest.mark.anyio

FILM = StoredVideo("v1", "lesson", "course", "omar", "omar", 5, "ab" * 32, "video/mp4", 1.0, 1, 1, 0)
UNDELETABLE = "CREATE TRIGGER undeletable BEFORE DELETE ON videos BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"


@pytest.fixture
def store(tmp_path: Path) -> VideoStore:
    store = VideoStore(tmp_path / "media")
    store.scratch("v1").write_bytes(b"bytes")
    store.keep(store.scratch("v1"), FILM)
    return store


@pytest.fixture
async def catalogue(database: Database) -> Catalogue:
    catalogue = Catalogue(database)
    async with database.transaction() as transaction:
        await catalogue.add(transaction, FILM)
    return catalogue


async def by_hand(database: Database, statement: str) -> None:
    async with database.transaction() as transaction:
        await transaction.execute(statement)


async def test_a_video_is_found_by_its_id_its_course_and_its_lesson(catalogue: Catalogue) -> None:
    assert catalogue.get("v1") == catalogue.find("v1") == FILM
    assert catalogue.of_lesson("lesson") == [FILM]
    assert catalogue.of_course("course") == list(catalogue) == [FILM]
    assert catalogue.get("v2") is catalogue.find("v2") is None
    assert catalogue.of_lesson("another") == []


async def test_a_deleted_video_is_gone_with_its_file_and_what_is_said_of_it(
    catalogue: Catalogue, store: VideoStore
) -> None:
    await remove_video(catalogue, store, FILM)
    assert catalogue.get("v1") is catalogue.find("v1") is None
    assert not store.original("omar", "v1").parent.exists()


async def test_a_deleted_course_is_remembered_for_uploads_that_are_still_on_their_way(
    catalogue: Catalogue, rights: Rights, database: Database
) -> None:
    await rights.apply([change(1, "course_deleted", course=COURSE)], position(1), MARK)
    async with database.transaction() as transaction:
        assert await catalogue.was_deleted(transaction, str(COURSE))
        assert not await catalogue.was_deleted(transaction, "another")


async def test_after_a_reset_no_course_is_believed_to_be_deleted(
    catalogue: Catalogue, rights: Rights, database: Database
) -> None:
    await rights.apply([change(1, "course_deleted", course=COURSE)], position(1), MARK)
    await rights.reset(position(9), MARK)  # the VPS may have been set back to a time before
    async with database.transaction() as transaction:
        assert not await catalogue.was_deleted(transaction, str(COURSE))


async def test_a_deletion_that_cannot_be_written_down_denies_and_can_be_repeated(
    catalogue: Catalogue, store: VideoStore, database: Database
) -> None:
    await by_hand(database, UNDELETABLE)
    for _ in range(2):
        with pytest.raises(sqlite3.Error):
            await remove_video(catalogue, store, FILM)
        assert catalogue.get("v1") is None
        assert catalogue.find("v1") == FILM
        assert store.original("omar", "v1").exists()
    await by_hand(database, "DROP TRIGGER undeletable")
    await remove_video(catalogue, store, FILM)
    assert catalogue.find("v1") is None
    assert not store.original("omar", "v1").exists()


async def test_a_deletion_that_was_not_written_down_is_undone_by_a_restart(
    catalogue: Catalogue, store: VideoStore, database: Database
) -> None:
    """Row and file are still there; the VPS, which had agreed, is asked again."""
    await by_hand(database, UNDELETABLE)
    with pytest.raises(sqlite3.Error):
        await remove_video(catalogue, store, FILM)
    again = Catalogue(database)
    await again.load()
    assert again.get("v1") == FILM


# --- made anew from the disk ------------------------------------------------------------------------------


async def rebuilt(database: Database, *videos: StoredVideo) -> Catalogue:
    catalogue = Catalogue(database)
    await catalogue.rebuild(videos)
    await catalogue.load()
    return catalogue


async def test_a_catalogue_made_from_the_disk_shows_nothing_until_the_vps_was_asked(database: Database) -> None:
    catalogue = await rebuilt(database, FILM)
    assert (catalogue.is_confirmed, catalogue.get("v1"), catalogue.find("v1")) == (False, None, FILM)
    assert catalogue.of_lesson("lesson") == [FILM]
    await catalogue.confirm()
    assert (catalogue.is_confirmed, catalogue.get("v1")) == (True, FILM)


async def test_an_unconfirmed_catalogue_is_so_after_a_restart_and_a_confirmed_one_too(database: Database) -> None:
    await rebuilt(database, FILM)
    again = Catalogue(database)
    await again.load()
    assert (again.is_confirmed, again.get("v1")) == (False, None)
    await again.confirm()
    once_more = Catalogue(database)
    await once_more.load()
    assert (once_more.is_confirmed, once_more.get("v1")) == (True, FILM)


async def test_an_empty_disk_leaves_nothing_to_be_confirmed(database: Database) -> None:
    assert not await Catalogue(database).is_whole()
    catalogue = await rebuilt(database)
    assert (catalogue.is_confirmed, await catalogue.is_whole()) == (True, True)


async def test_of_two_videos_for_one_lesson_the_newer_one_is_meant(database: Database) -> None:
    newer = replace(FILM, id="v2", stored_at=1)
    for found in ((FILM, newer), (newer, FILM)):
        async with database.transaction() as transaction:
            await transaction.execute("DELETE FROM videos")
            await transaction.execute("DELETE FROM remembered")
        assert list(await rebuilt(database, *found)) == [newer]


async def test_an_upload_into_an_unconfirmed_catalogue_is_shown(database: Database) -> None:
    catalogue = await rebuilt(database, FILM)
    second = replace(FILM, id="v2", lesson_id="second")
    async with database.transaction() as transaction:
        await catalogue.add(transaction, second)
    assert (catalogue.get("v2"), catalogue.get("v1")) == (second, None)


async def test_a_catalogue_whose_database_is_gone_shows_nothing(catalogue: Catalogue) -> None:
    catalogue.hide_all()
    assert (catalogue.get("v1"), catalogue.is_confirmed) == (None, False)


async def test_what_was_to_take_a_videos_place_has_it_once_that_one_is_gone(
    catalogue: Catalogue, database: Database, store: VideoStore
) -> None:
    heir = replace(FILM, id="v2", replaces="v1")
    async with database.transaction() as transaction:
        await catalogue.add(transaction, heir)
    await remove_video(catalogue, store, FILM)
    again = Catalogue(database)
    await again.load()
    assert catalogue.get("v2") == again.get("v2") == replace(heir, replaces="")


async def test_a_video_that_cannot_be_deleted_to_its_end_keeps_no_other_from_its_lesson(
    catalogue: Catalogue, database: Database, store: VideoStore
) -> None:
    """So it is for a moment, too, when both the teacher and the feed's news delete it."""
    await by_hand(database, UNDELETABLE)
    with pytest.raises(sqlite3.IntegrityError):
        await remove_video(catalogue, store, FILM)
    assert catalogue.find("v1") == FILM
    assert catalogue.of_lesson("lesson") == []
