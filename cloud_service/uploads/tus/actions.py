"""Beginning, continuing, finishing and ending an upload that can be resumed."""

import asyncio
import errno
import hashlib
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.uploads.completion import complete
from cloud_service.uploads.containers import HEAD_BYTES, media_type_of
from cloud_service.uploads.errors import (
    EmptyUpload,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    NodeStopping,
    NotAVideo,
    StorageFull,
    UploadDropped,
    UploadInProgress,
    UploadStalled,
    UploadTooLarge,
    UploadTooLong,
    UploadTooSlow,
)
from cloud_service.uploads.pace import paced
from cloud_service.uploads.places import admit, claimed, take_room
from cloud_service.uploads.scratch import ScratchFile
from cloud_service.uploads.tus.errors import ChecksumMismatch, OffsetMismatch, UploadTakenOver
from cloud_service.uploads.tus.headers import Checksum, metadata_of
from cloud_service.uploads.tus.living import cut, sha256_of
from cloud_service.uploads.tus.models import ResumableUpload
from cloud_service.uploads.tus.turns import Turn
from cloud_service.uploads.tus.wanted import place_of
from shared.killpoints import killpoint
from shared.problems import AppError, NotAuthenticated, Unavailable

log = logging.getLogger(__name__)

LOST = (UploadDropped, UploadStalled, UploadTooSlow, UploadTooLong)
"""The connection is lost, or as good as that. What had arrived is kept."""
ENDED = (*LOST, UploadTakenOver, NodeStopping, asyncio.CancelledError)
PASSING = (NotAuthenticated, UploadInProgress, StorageFull, Unavailable)
"""What may be otherwise when the client comes back; any other refusal is the end of the upload."""


@dataclass(frozen=True, slots=True)
class Bytes:
    """What one request brings. `declared` is its Content-Length, if any; `body` raises UploadDropped."""

    declared: int | None
    body: AsyncIterator[bytes]
    checksum: Checksum | None = None

    def check_fits(self, room: int) -> None:
        """Raises UploadTooLarge."""
        if self.declared is not None and self.declared > room:
            raise UploadTooLarge(f"Only {room} more bytes belong to this upload.")


async def create(
    node: Node, viewer: Viewer, length: int, metadata: str, sent: Bytes, key: str | None = None
) -> tuple[ResumableUpload, int]:
    """The upload with its offset; or nothing of it stays, also when it is only these first bytes that are refused.

    With the key of an earlier one it is that, as far as it is.
    """
    place = place_of(metadata_of(metadata))
    if length == 0:
        raise EmptyUpload("A video has at least one byte.")
    if length > node.settings.upload_bytes:
        raise UploadTooLarge(f"At most {node.settings.upload_bytes} bytes are taken.")
    sent.check_fits(length)
    if key is not None and (earlier := await node.resumable.of_key(viewer.id, key)):
        return earlier, await _begun_before(node, earlier, length, metadata)
    upload = ResumableUpload.begun(viewer.id, length, metadata, key)
    admission = await admit(node, viewer, place)
    try:
        take_room(node, admission, upload.id, length)
        async with upload.turns.next() as turn:
            await node.resumable.add(upload)
            offset = await _append(node, viewer, upload, turn, 0, sent)
    except BaseException:
        await asyncio.shield(_end(node, upload))
        raise
    log.info("resumable upload begun", extra={"upload_id": upload.id, "length": length})
    return upload, offset


async def _begun_before(node: Node, upload: ResumableUpload, length: int, metadata: str) -> int:
    """Its offset."""
    if (upload.length, upload.metadata) != (length, metadata):
        raise IdempotencyKeyReused
    if not upload.turns.is_free:
        raise IdempotencyKeyInUse
    async with upload.turns.next():
        return await node.resumable.offset(upload)


async def append(node: Node, viewer: Viewer, upload_id: str, at: int, sent: Bytes) -> tuple[ResumableUpload, int]:
    """The upload with its new offset; with its last byte it has become a video."""
    upload = node.resumable.of(viewer.id, upload_id)
    async with upload.turns.next() as turn:
        offset = await node.resumable.offset(upload)
        if at != offset:
            raise OffsetMismatch(offset)
        sent.check_fits(upload.length - at)
        return upload, await _append(node, viewer, upload, turn, at, sent)


async def look_up(node: Node, viewer: Viewer, upload_id: str) -> tuple[ResumableUpload, int]:
    """The upload with its offset. Whoever is sending to it is ended: this is how a client begins anew."""
    upload = node.resumable.of(viewer.id, upload_id)
    async with upload.turns.next():
        return upload, await node.resumable.offset(upload)


async def terminate(node: Node, viewer: Viewer, upload_id: str) -> None:
    """Nothing is kept of it; a video that it has become stays, to be deleted as videos are."""
    upload = node.resumable.of(viewer.id, upload_id)
    async with upload.turns.next():
        await node.resumable.offset(upload)
        await _end(node, upload)
    log.info("resumable upload ended", extra={"upload_id": upload_id})


async def _end(node: Node, upload: ResumableUpload) -> None:
    await node.resumable.remove(upload)


# --- bytes ----------------------------------------------------------------------------------------------


async def _append(node: Node, viewer: Viewer, upload: ResumableUpload, turn: Turn, at: int, sent: Bytes) -> int:
    """The new offset."""
    if at == upload.length:  # a video already
        await _expect_nothing(sent)
        return at
    try:
        offset, syncing = await _store(node, upload, turn, at, sent)
        killpoint("tus.appended")
    except ENDED as error:
        log.info("upload interrupted", extra={"upload_id": upload.id, "reason": str(error)})
        is_over = isinstance(error, LOST) and node.resumable.drops_at_once()
        await asyncio.shield(_end(node, upload) if is_over else node.resumable.take_last_byte_back(upload))
        raise
    except NotAVideo:
        await _end(node, upload)
        raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull from None
        raise
    if offset == upload.length:
        await _finish(node, viewer, upload, syncing)
    return offset


async def _expect_nothing(sent: Bytes) -> None:
    async for chunk in sent.body:
        if chunk:
            raise UploadTooLarge("The upload is complete.")


async def _store(
    node: Node, upload: ResumableUpload, turn: Turn, at: int, sent: Bytes
) -> tuple[int, ScratchFile | None]:
    """What arrives, on the disk for good; how far the upload is then. With its last byte it is a file that is still
    being synced, and can be looked into meanwhile.

    When the client is gone half-way, that half is kept; not so with a checksum, as it may be wrong.
    """
    checked = hashlib.new(sent.checksum.algorithm) if sent.checksum else None
    digest = upload.digest.copy() if upload.digest else None
    if checked:
        await node.resumable.be_sure_of(upload, at)
    file = ScratchFile(node.resumable.part(upload), offset=at, digests=[one for one in (digest, checked) if one])
    is_kept = is_syncing = False
    try:
        await _receive(node, upload, file, turn, sent)
        await file.write_out()
        if sent.checksum and checked and not hmac.compare_digest(checked.digest(), sent.checksum.digest):
            raise ChecksumMismatch
        is_kept, is_syncing = True, file.size == upload.length and checked is None
    except ENDED:
        is_kept = checked is None
        raise
    finally:
        if is_kept:
            upload.digest = digest
        if is_syncing:
            file.begin_sync()
        else:
            await asyncio.shield(_put_away(node, upload, file, None if is_kept else at))
    return file.size, file if is_syncing else None


async def _put_away(node: Node, upload: ResumableUpload, file: ScratchFile, back_to: int | None) -> None:
    """What is kept of it is on the disk when this returns; with `back_to`, nothing behind that many bytes."""
    try:
        if back_to is None:
            await file.sync()
    except OSError:
        upload.digest = None  # which knows of bytes that the disk did not take
        raise
    finally:
        await file.close()
        if back_to is not None:
            await asyncio.to_thread(cut, file.path, back_to)
        node.space.wrote(upload.id, file.stored if back_to is None else back_to)
        if upload.sure_bytes is not None:
            await node.resumable.be_sure_of(upload, None)


async def _receive(node: Node, upload: ResumableUpload, file: ScratchFile, turn: Turn, sent: Bytes) -> None:
    """Everything into the file. What is no video by its first bytes is not read to its end."""
    head = await asyncio.to_thread(_head, file)
    async with turn.receiving(), paced(node.settings) as pace:
        async for chunk in sent.body:
            pace.arrived(len(chunk))
            if file.size + len(chunk) > upload.length:
                raise UploadTooLarge(f"The upload is of {upload.length} bytes.")
            if head is not None:
                head += chunk[: HEAD_BYTES - len(head)]
                if len(head) == HEAD_BYTES:
                    _media_type(head)
                    head = None
            await file.write(chunk)
            node.space.wrote(upload.id, file.stored)
            pace.ready()


def _head(file: ScratchFile) -> bytes | None:
    """Its first bytes, as long as there are too few to tell what it is; None when it was told."""
    return file.path.read_bytes() if file.size < HEAD_BYTES else None


def _media_type(head: bytes) -> str:
    media_type = media_type_of(head)
    if media_type is None:
        raise NotAVideo("The file does not begin as MP4, MOV, MKV, WebM, AVI or MPEG-TS does.")
    return media_type


# --- the last byte --------------------------------------------------------------------------------------


async def _finish(node: Node, viewer: Viewer, upload: ResumableUpload, syncing: ScratchFile | None) -> None:
    """It becomes a video, if it still may and is one. Who was refused for good has no upload any more."""
    killpoint("tus.completing")
    try:
        await _complete(node, viewer, upload, syncing.synced if syncing else None)
    except BaseException as error:
        if syncing:
            await asyncio.shield(syncing.close())
        if not node.resumable.is_finished(upload):
            is_final = isinstance(error, AppError) and not isinstance(error, PASSING)
            log.info("upload not completed", extra={"upload_id": upload.id, "reason": str(error), "is_final": is_final})
            await asyncio.shield(_refuse(node, upload) if is_final else node.resumable.take_last_byte_back(upload))
        raise
    upload.digest = None
    node.space.release(upload.id)
    log.info("video stored", extra={"video_id": upload.id, "size": upload.length})


async def _refuse(node: Node, upload: ResumableUpload) -> None:
    node.store.remove(upload.owner_id, upload.id)
    await _end(node, upload)


async def _complete(
    node: Node, viewer: Viewer, upload: ResumableUpload, synced: Callable[[], Awaitable[None]] | None
) -> None:
    part = node.resumable.part(upload)
    admission = await admit(node, viewer, place_of(metadata_of(upload.metadata)))
    take_room(node, admission, upload.id, upload.length)
    async with claimed(node, upload.id, admission):
        with part.open("rb") as file:
            media_type = _media_type(file.read(HEAD_BYTES))
        sha256 = upload.digest.hexdigest() if upload.digest else await asyncio.to_thread(sha256_of, part)
        await complete(
            node, admission, upload.id, part, size=upload.length, sha256=sha256, media_type=media_type, synced=synced
        )
