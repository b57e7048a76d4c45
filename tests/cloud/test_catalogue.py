"""The videos on a node: a deletion denies at once, and what it could not finish it finishes the next time."""

import sqlite3
from pathlib import Path

import pytest

from cloud_service.db import Database
from cloud_service.videos.actions import remove_video
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore

pytestmark = pytest.mark.anyio

FILM = StoredVideo("v1", "lesson", "course", "omar", "omar", 5, "ab" * 32, "video/mp4", 1.0, 1, 1, 0)
UNDELETABLE = "CREATE TRIGGER undeletable BEFORE DELETE ON videos BEGIN SELECT RAISE(ABORT, 'disk I/O error'); END"


@pytest.fixture
def store(tmp_path: Path) -> VideoStore:
    store = VideoStore(tmp_path / "media")
    store.scratch("v1").write_bytes(b"bytes")
    store.keep(store.scratch("v1"), "omar", "v1")
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
    assert catalogue.get("v1") == catalogue.find("v1") == catalogue.of_lesson("lesson") == FILM
    assert catalogue.of_course("course") == list(catalogue) == [FILM]
    assert catalogue.get("v2") is catalogue.find("v2") is catalogue.of_lesson("another") is None


async def test_a_deleted_video_is_remembered_as_deleted_by_its_owner_only(
    catalogue: Catalogue, store: VideoStore
) -> None:
    await remove_video(catalogue, store, FILM)
    assert catalogue.get("v1") is catalogue.find("v1") is None
    assert not store.original("omar", "v1").exists()
    assert await catalogue.was_deleted_by("v1", "omar")
    assert not await catalogue.was_deleted_by("v1", "mona")


async def test_a_deletion_that_cannot_be_written_down_denies_and_can_be_repeated(
    catalogue: Catalogue, store: VideoStore, database: Database
) -> None:
    await by_hand(database, UNDELETABLE)
    for _ in range(2):
        with pytest.raises(sqlite3.Error):
            await remove_video(catalogue, store, FILM)
        assert catalogue.get("v1") is None
        assert catalogue.find("v1") == FILM
        assert not await catalogue.was_deleted_by("v1", "omar")
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
