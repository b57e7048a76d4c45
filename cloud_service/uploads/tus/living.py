"""The resumable uploads of this node: a row each, and a part on the disk until that is a video.

Where an upload goes on is the length of its part, and when it expires counts from when that was last written, so
that neither can be wrong after a crash. A part that is whole has its last byte taken back until it is a video: a
client that was never answered sends that byte again, and hears how it ended.
"""

import asyncio
import hashlib
import logging
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

from cloud_service.db import Database, Transaction
from cloud_service.uploads.errors import IdempotencyKeyInUse, NodeStopping
from cloud_service.uploads.space import Space
from cloud_service.uploads.tus.errors import TooManyUploads, UploadNotFound
from cloud_service.uploads.tus.models import COLUMNS, ResumableUpload
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.store import VideoStore
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

UNFINISHED_PER_USER = 100
ROOM_KEPT_S = 15 * 60
"""How long the room of an upload that nobody goes on with is kept from others; its bytes are kept for longer."""
INSERT = f"INSERT INTO resumable_uploads ({', '.join(COLUMNS)}) VALUES ({', '.join('?' for _ in COLUMNS)})"  # noqa: S608
BETWEEN_REQUESTS_S = 60
"""How long an upload waits for its next request where none is kept after its connection has dropped."""
SWEEP_EVERY_S = 60.0


class ResumableUploads:
    def __init__(self, database: Database, store: VideoStore, catalogue: Catalogue, space: Space, kept_s: int) -> None:
        self._database, self._store, self._catalogue, self._space = database, store, catalogue, space
        self._kept_s = kept_s
        self._uploads: dict[str, ResumableUpload] = {}
        self._is_over = False
        self._going: set[str] = set()
        """Removed, but for what the disk or the database would not let go."""

    async def load(self) -> None:
        """As they were left: with rows and parts one to one, and their room promised to them again."""
        rows = await self._database.fetch(f"SELECT {', '.join(COLUMNS)} FROM resumable_uploads")  # noqa: S608
        for upload in [ResumableUpload.from_row(dict(row)) for row in rows]:
            self._uploads[upload.id] = upload
            if self.is_finished(upload):
                continue
            if self._kept_s == 0 or not self.part(upload).exists():
                await self.remove(upload)
                continue
            await asyncio.to_thread(self._mend, upload)
            await asyncio.to_thread(self._store.keep_begun, upload.id, upload.to_json())
            quota_of = upload.owner_id if upload.is_practice else ""
            self._space.recall(upload.id, upload.length, self._size(upload), quota_of=quota_of)
        for unknown in await asyncio.to_thread(self._store.sweep_parts, self._uploads):
            log.warning("part of no upload removed", extra={"id": unknown})
        await self.sweep()

    def _mend(self, upload: ResumableUpload) -> None:
        cut(self.part(upload), upload.length - 1 if upload.sure_bytes is None else upload.sure_bytes)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(min(SWEEP_EVERY_S, max(self._kept_s / 2, 0.5)))
            try:
                await self.sweep()
            except Exception:
                log.exception("expired uploads were not removed")

    async def sweep(self) -> None:
        """Remove what has expired, and what became of it if that was deleted since; whoever idles loses the room."""
        if self._going:
            await self._remove_going()
        for upload in list(self._uploads.values()):
            if not upload.turns.is_free:
                continue
            if self._has_expired(upload):
                async with upload.turns.next():
                    await self.remove(upload)
                log.info("resumable upload expired", extra={"upload_id": upload.id})
            elif not self.is_finished(upload) and self._written_at(upload) < time.time() - ROOM_KEPT_S:
                self._space.let_lapse(upload.id)

    def _has_expired(self, upload: ResumableUpload) -> bool:
        try:
            return self.expires_at(upload) < time.time()
        except UploadNotFound:
            return True

    def close(self) -> None:
        """Nobody begins at one any more: another node is to take them over."""
        self._is_over = True
        for upload_id in self._uploads:
            self._space.release(upload_id)

    def is_quiet(self) -> bool:
        """Whether nobody is at any of them."""
        return all(upload.turns.is_free for upload in self._uploads.values())

    def _check_open(self) -> None:
        if self._is_over:
            raise NodeStopping

    # --- one of them ----------------------------------------------------------------------------------

    def of(self, owner_id: str, upload_id: str) -> ResumableUpload:
        """Raises UploadNotFound, also for somebody else's, and NodeStopping."""
        self._check_open()
        upload = self._uploads.get(upload_id)
        if upload is None or upload.owner_id != owner_id:
            raise UploadNotFound
        return upload

    async def of_key(self, owner_id: str, key: str) -> ResumableUpload | None:
        """The one that was begun with it, if that is still there."""
        for upload in self._uploads.values():
            if (upload.owner_id, upload.idempotency_key) == (owner_id, key):
                if not (upload.turns.is_free and self._has_expired(upload)):
                    return upload
                await self.remove(upload)
                return None
        return None

    def part(self, upload: ResumableUpload) -> Path:
        return self._store.part(upload.id)

    def is_finished(self, upload: ResumableUpload) -> bool:
        return self._catalogue.find(upload.id) is not None

    async def offset(self, upload: ResumableUpload) -> int:
        """How many of its bytes are on the disk for good. Raises UploadNotFound once it is gone, NodeStopping."""
        self._check_open()
        if upload.id not in self._uploads or self._has_expired(upload):
            raise UploadNotFound
        if self.is_finished(upload):
            return upload.length
        if upload.sure_bytes is not None:
            await self.be_sure_of(upload, None)
        if self._size(upload) == upload.length:  # it was to become a video, and that could not be taken back
            await self.take_last_byte_back(upload)
        if not upload.is_synced:
            await asyncio.to_thread(_sync, self.part(upload))
            upload.is_synced = True
        return self._size(upload)

    def _size(self, upload: ResumableUpload) -> int:
        return self.part(upload).stat().st_size

    def expires_at(self, upload: ResumableUpload) -> float:
        """Unix seconds. Raises UploadNotFound for one that has neither a part nor a video."""
        kept_s = self._kept_s or BETWEEN_REQUESTS_S
        if video := self._catalogue.find(upload.id):
            return video.stored_at + kept_s
        return self._written_at(upload) + kept_s

    def _written_at(self, upload: ResumableUpload) -> float:
        try:
            return self.part(upload).stat().st_mtime
        except FileNotFoundError:
            raise UploadNotFound from None

    def to_come(self, owner_id: str) -> int:
        """The bytes that are kept free for this user's uploads."""
        return self._space.to_come(one.id for one in self._uploads.values() if one.owner_id == owner_id)

    def drops_at_once(self) -> bool:
        """Whether an upload whose connection is lost is over."""
        return self._kept_s == 0

    # --- their rows -----------------------------------------------------------------------------------

    async def add(self, upload: ResumableUpload) -> None:
        """By whoever has the turn. Row first: no part is without one. Raises TooManyUploads, IdempotencyKeyInUse."""
        mine = (one for one in self._uploads.values() if one.owner_id == upload.owner_id)
        if sum(not self.is_finished(one) for one in mine) >= UNFINISHED_PER_USER:
            raise TooManyUploads(f"there are {UNFINISHED_PER_USER}.")
        if upload.idempotency_key and await self.of_key(upload.owner_id, upload.idempotency_key):
            raise IdempotencyKeyInUse
        self._uploads[upload.id] = upload
        async with self._database.transaction(durable=True) as transaction:
            await self._delete_rows_of_going(transaction)
            await transaction.execute(INSERT, upload.to_row())
        killpoint("tus.created")
        await asyncio.to_thread(self._store.begin_part, upload.id, upload.to_json())

    async def be_sure_of(self, upload: ResumableUpload, size: int | None) -> None:
        """Durable: whatever comes, no more than these bytes of it are kept; None for all that are there."""
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute("UPDATE resumable_uploads SET sure_bytes = ? WHERE id = ?", (size, upload.id))
            transaction.on_commit(lambda: setattr(upload, "sure_bytes", size))

    async def remove(self, upload: ResumableUpload) -> None:
        """Part, then row; a video that it has become stays. What cannot go right now does so at the next sweep."""
        self._uploads.pop(upload.id, None)
        self._going.add(upload.id)
        await self._remove_going()

    async def _remove_going(self) -> None:
        try:
            for upload_id in list(self._going):
                await asyncio.to_thread(self._store.remove_part, upload_id)
                self._space.release(upload_id)
            killpoint("tus.part_gone")
            async with self._database.transaction() as transaction:
                await self._delete_rows_of_going(transaction)
        except (OSError, sqlite3.Error) as error:
            log.warning("upload not quite removed", extra={"ids": sorted(self._going), "reason": str(error)})

    async def _delete_rows_of_going(self, transaction: Transaction) -> None:
        """Before another row with the same key."""
        going = tuple(self._going)
        await transaction.execute_many("DELETE FROM resumable_uploads WHERE id = ?", [(one,) for one in going])
        transaction.on_commit(lambda: self._going.difference_update(going))

    async def take_last_byte_back(self, upload: ResumableUpload) -> None:
        """If it is whole and no video yet, though it may have been moved to a video's place already."""
        await asyncio.to_thread(self._store.take_back, upload.owner_id, upload.id)
        if await asyncio.to_thread(cut, self.part(upload), upload.length - 1):
            upload.digest = None


async def rebuild_uploads(database: Database, store: VideoStore) -> None:
    """Rows for the parts that are on the disk, where those are lost."""
    rows = []
    for content in await asyncio.to_thread(store.read_begun):
        try:
            rows.append(ResumableUpload.from_json(content).to_row())
        except (KeyError, TypeError, ValueError):
            log.exception("an upload that nobody can read")
    async with database.transaction(durable=True) as transaction:
        await transaction.execute_many(INSERT.replace("INSERT", "INSERT OR IGNORE"), rows)


async def take_parts_back(database: Database, catalogue: Catalogue, store: VideoStore) -> None:
    """From videos' places, before those are swept: of what a crash caught between there and the row of a video."""
    for row in await database.fetch("SELECT id, owner_id FROM resumable_uploads"):
        if catalogue.find(row["id"]) is None:
            await asyncio.to_thread(store.take_back, row["owner_id"], row["id"])


def sha256_of(part: Path) -> str:
    """In hexadecimal."""
    with part.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cut(part: Path, size: int) -> bool:
    """No longer than this, durably; whether it was."""
    with suppress(FileNotFoundError):
        if part.stat().st_size > size:
            os.truncate(part, size)
            _sync(part)
            return True
    return False


def _sync(part: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
