"""The resumable uploads of this node: a row each, and a part on the disk until that is a video.

Where an upload goes on is the length of its part, and when it expires counts from when that was last written, so
that neither can be wrong after a crash. A part that is whole has its last byte taken back until it is a video: a
client that was never answered sends that byte again, and hears how it ended.
"""

import asyncio
import hashlib
import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from cloud_service.db import Database
from cloud_service.uploads.errors import IdempotencyKeyInUse
from cloud_service.uploads.space import Space
from cloud_service.uploads.tus.errors import TooManyUploads, UploadNotFound
from cloud_service.uploads.tus.models import COLUMNS, ResumableUpload
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.store import VideoStore
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

UNFINISHED_PER_USER = 100
BETWEEN_REQUESTS_S = 60
"""How long an upload waits for its next request where none is kept after its connection has dropped."""
SWEEP_EVERY_S = 60.0


class ResumableUploads:
    def __init__(self, database: Database, store: VideoStore, catalogue: Catalogue, space: Space, kept_s: int) -> None:
        self._database, self._store, self._catalogue, self._space = database, store, catalogue, space
        self._kept_s = kept_s
        self._uploads: dict[str, ResumableUpload] = {}

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
        """Remove what has expired, and what became of it if that was deleted since."""
        for upload in list(self._uploads.values()):
            if upload.turns.is_free and self._has_expired(upload):
                async with upload.turns.next():
                    await self.remove(upload)
                log.info("resumable upload expired", extra={"upload_id": upload.id})

    def _has_expired(self, upload: ResumableUpload) -> bool:
        try:
            return self.expires_at(upload) < time.time()
        except UploadNotFound:
            return True

    # --- one of them ----------------------------------------------------------------------------------

    def of(self, owner_id: str, upload_id: str) -> ResumableUpload:
        """Raises UploadNotFound, also for somebody else's."""
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
        """How many of its bytes are on the disk for good. Raises UploadNotFound once it is gone."""
        if upload.id not in self._uploads or self._has_expired(upload):
            raise UploadNotFound
        if self.is_finished(upload):
            return upload.length
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
        try:
            return self.part(upload).stat().st_mtime + kept_s
        except FileNotFoundError:
            raise UploadNotFound from None

    def drops_at_once(self) -> bool:
        """Whether an upload whose connection is lost is over."""
        return self._kept_s == 0

    # --- their rows -----------------------------------------------------------------------------------

    async def add(self, upload: ResumableUpload) -> None:
        """By whoever has the turn. Row first: no part is without one. Raises TooManyUploads, IdempotencyKeyInUse."""
        mine = (one for one in self._uploads.values() if one.owner_id == upload.owner_id)
        if sum(not self.is_finished(one) for one in mine) >= UNFINISHED_PER_USER:
            raise TooManyUploads(UNFINISHED_PER_USER)
        if upload.idempotency_key and await self.of_key(upload.owner_id, upload.idempotency_key):
            raise IdempotencyKeyInUse
        self._uploads[upload.id] = upload
        marks = ", ".join("?" for _ in COLUMNS)
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute(
                f"INSERT INTO resumable_uploads ({', '.join(COLUMNS)}) VALUES ({marks})",  # noqa: S608
                upload.to_row(),
            )
        killpoint("tus.created")
        await asyncio.to_thread(self._store.begin_part, upload.id)

    async def be_sure_of(self, upload: ResumableUpload, size: int | None) -> None:
        """Durable: whatever comes, no more than these bytes of it are kept; None for all that are there."""
        upload.sure_bytes = size
        async with self._database.transaction(durable=True) as transaction:
            await transaction.execute("UPDATE resumable_uploads SET sure_bytes = ? WHERE id = ?", (size, upload.id))

    async def remove(self, upload: ResumableUpload) -> None:
        """Part, then row; a video that it has become stays."""
        self._uploads.pop(upload.id, None)
        self.part(upload).unlink(missing_ok=True)
        self._space.release(upload.id)
        killpoint("tus.part_gone")
        async with self._database.transaction() as transaction:
            await transaction.execute("DELETE FROM resumable_uploads WHERE id = ?", (upload.id,))

    async def take_last_byte_back(self, upload: ResumableUpload) -> None:
        """If it is whole and no video yet, though it may have been moved to a video's place already."""
        await asyncio.to_thread(self._store.take_back, upload.owner_id, upload.id)
        if await asyncio.to_thread(cut, self.part(upload), upload.length - 1):
            upload.digest = None


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
