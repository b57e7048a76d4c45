"""What an operator does about a node's videos, on the node's machine: `toptank reprocess`."""

import argparse
import asyncio
import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from cloud_service.db import FILE, Database, OtherSchema, Transaction
from cloud_service.outbox import announce
from cloud_service.processing.queue import enqueue_again
from cloud_service.processing.results import save
from cloud_service.settings import WorkerSettings
from cloud_service.videos.models import SELECT_VIDEOS, StoredVideo
from cloud_service.videos.store import VideoStore
from shared.settings import load, stop

FAILED = f"{SELECT_VIDEOS} WHERE status = 'error' AND id IN (SELECT video_id FROM processed)"  # noqa: S608
"""Not those that the VPS refused: nothing is to become of them."""
NAMED = f"{SELECT_VIDEOS} WHERE kind != 'file' AND id = ?"


async def reprocess(database: Database, store: VideoStore, video_ids: Sequence[UUID]) -> str:
    """These, or every one that failed: one line each. What was made of a video already is not made again."""
    async with database.transaction(durable=True) as transaction:
        if not video_ids:
            failed = await transaction.fetch(FAILED)
            return "\n".join([await _begin_again(transaction, store, row) for row in failed]) or "no video has failed"
        lines = []
        for video_id in video_ids:
            rows = await transaction.fetch(NAMED, (str(video_id),))
            lines.append(await _begin_again(transaction, store, rows[0]) if rows else f"{video_id} is not here")
        return "\n".join(lines)


async def _begin_again(transaction: Transaction, store: VideoStore, row: sqlite3.Row) -> str:
    video = StoredVideo.from_row(dict(row))
    if video.status == "error":
        video = replace(video, status="processing", reason="")
        await asyncio.to_thread(store.keep_row, video)
        await save(transaction, video)
        await announce(transaction, video.announcement())
    await enqueue_again(transaction, video)
    return f"{video.id} is processed again"


async def _with_database(settings: WorkerSettings, video_ids: Sequence[UUID]) -> str:
    database = await Database.join(settings.folder / FILE)
    try:
        return await reprocess(database, VideoStore(settings.media), video_ids)
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank reprocess", description=__doc__)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("videos", nargs="*", type=UUID, default=[], metavar="VIDEO", help="a video's id")
    which.add_argument("--failed", action="store_true", help="every video of this node that could not be processed")
    given = parser.parse_args()
    settings = load(WorkerSettings)
    try:
        said = asyncio.run(_with_database(settings, given.videos))
    except (sqlite3.Error, OSError, OtherSchema) as error:
        stop(f"{settings.folder}: {error}")
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main()
