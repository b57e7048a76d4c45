"""Why an upload ended is what its client hears, and is logged, whatever the database does meanwhile."""

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cloud_service.db import FILE
from cloud_service.settings import CloudSettings
from cloud_service.uploads.actions import Upload, receive_video
from cloud_service.uploads.errors import NotAVideo, UploadDropped
from cloud_service.uploads.places import Place
from shared.contract import UPLOAD_RIGHTS
from shared.problems import AppError
from tests.clips import Clips
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import opened
from tests.cloud.things import MARK, TEACHER, VIDEO, may_upload, position, standing, viewer

pytestmark = pytest.mark.anyio


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Somebody else has the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        yield


@pytest.mark.parametrize("reason", [NotAVideo, UploadDropped])
async def test_an_upload_that_ends_while_the_database_is_locked_ends_for_its_own_reason(
    settings: CloudSettings, made_up: MadeUpVps, clips: Clips, reason: type[AppError]
) -> None:
    made_up.answers("POST", UPLOAD_RIGHTS, may_upload())
    async with opened(settings) as node:
        await node.rights.reset(position(1), MARK)
        await node.rights.remember_standing(viewer(TEACHER), standing())
        assert node.rights.standing(viewer(TEACHER))
        async with node.database.transaction() as transaction:
            await transaction.execute("PRAGMA busy_timeout = 10")
        lock = locked(settings.folder / FILE)

        async def ending() -> AsyncIterator[bytes]:
            yield clips.film[:5000]
            lock.__enter__()
            raise reason

        with pytest.raises(reason):
            await receive_video(node, viewer(TEACHER), Upload(Place("course", VIDEO)), ending())
        lock.__exit__(None, None, None)
        assert node.rights.standing(viewer(TEACHER)) is None
        assert list((settings.folder / "media" / "scratch").iterdir()) == []
