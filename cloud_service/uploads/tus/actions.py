"""Beginning, continuing, finishing and ending an upload that can be resumed."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from cloud_service.access.models import Viewer
from cloud_service.media.containers import HEAD_BYTES
from cloud_service.node import Node
from cloud_service.uploads.completion import Arrived, complete
from cloud_service.uploads.errors import (
    EmptyUpload,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    NotAVideo,
    ReplacementStillHere,
    StorageFull,
    UploadInProgress,
    UploadNotAllowed,
    UploadTooLarge,
    VideoStillHere,
)
from cloud_service.uploads.places import admit, claimed, take_room
from cloud_service.uploads.scratch import ScratchFile
from cloud_service.uploads.tus.errors import OffsetMismatch, TooManyUploads
from cloud_service.uploads.tus.headers import metadata_of
from cloud_service.uploads.tus.living import sha256_of
from cloud_service.uploads.tus.models import ResumableUpload
from cloud_service.uploads.tus.receiving import ENDED, LOST, Bytes, expect_nothing, media_type_at, store
from cloud_service.uploads.tus.turns import Turn
from cloud_service.uploads.tus.wanted import place_of
from cloud_service.videos.store import is_full
from shared.killpoints import killpoint
from shared.problems import AppError, NotAuthenticated, Unavailable

log = logging.getLogger(__name__)

PASSING = (
    *(NotAuthenticated, UploadNotAllowed, UploadInProgress, VideoStillHere, ReplacementStillHere),
    *(StorageFull, Unavailable),
)
"""What may be otherwise when the client comes back; any other refusal is the end of the upload."""
ROOM_PER_USER = 3
"""How much may be kept free for one user's uploads, in uploads of the largest size."""


@dataclass(frozen=True, slots=True)
class Begun:
    """`is_read` is false for an upload that was there already: what the request brings has not come yet."""

    upload: ResumableUpload
    offset: int
    is_read: bool = True


async def create(node: Node, viewer: Viewer, length: int, metadata: str, sent: Bytes, key: str | None = None) -> Begun:
    """Or nothing of the upload stays, also when it is only these first bytes that are refused.

    With the key of an earlier one it is that, as far as it is. So one with a key stays when its connection drops: the
    client can find it again.
    """
    place = place_of(metadata_of(metadata))
    if length == 0:
        raise EmptyUpload("A video has at least one byte.")
    if length > node.settings.upload_bytes:
        raise UploadTooLarge(f"At most {node.settings.upload_bytes} bytes are taken.")
    sent.check_fits(length)
    if key is not None and (earlier := await node.resumable.of_key(viewer.id, key)):
        return Begun(earlier, await _begun_before(node, earlier, length, metadata), is_read=False)
    upload = ResumableUpload.begun(viewer.id, length, metadata, key)
    admission = await admit(node, viewer, place)
    upload.permit = admission.permit
    is_found_again = False
    try:
        _check_share(node, viewer, length)
        take_room(node, admission, upload.id, length)
        async with upload.turns.next() as turn:
            await node.resumable.add(upload)
            is_found_again = key is not None
            offset = await _append(node, viewer, upload, turn, 0, sent)
    except BaseException as error:
        if not is_found_again or _is_final(error):
            await asyncio.shield(node.resumable.remove(upload))
        raise
    log.info("resumable upload begun", extra={"upload_id": upload.id, "length": length})
    return Begun(upload, offset)


def _check_share(node: Node, viewer: Viewer, length: int) -> None:
    """Raises TooManyUploads: nobody keeps the disk from all others by announcing what does not come."""
    if node.resumable.to_come(viewer.id) + length > ROOM_PER_USER * node.settings.upload_bytes:
        raise TooManyUploads("they would take more room than one user may be promised.")


def _is_final(error: BaseException) -> bool:
    """Whether the upload is refused for good."""
    return isinstance(error, AppError) and not isinstance(error, (*ENDED, *PASSING))


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
        if at < upload.length:
            await _ask_again(node, viewer, upload)
        return upload, await _append(node, viewer, upload, turn, at, sent)


async def _ask_again(node: Node, viewer: Viewer, upload: ResumableUpload) -> None:
    """Whether it may go on, unless the same session was told so and nothing has ended that. Raises what forbids it."""
    if upload.permit and upload.permit.is_good_for(viewer):
        return
    try:
        upload.permit = (await admit(node, viewer, place_of(metadata_of(upload.metadata)))).permit
    except AppError as error:
        if _is_final(error):
            await asyncio.shield(_refuse(node, upload))
        raise


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
        await node.resumable.remove(upload)
    log.info("resumable upload ended", extra={"upload_id": upload_id})


async def _append(node: Node, viewer: Viewer, upload: ResumableUpload, turn: Turn, at: int, sent: Bytes) -> int:
    """The new offset."""
    if at == upload.length:  # a video already
        await expect_nothing(sent)
        return at
    try:
        node.space.reserve(upload.id, upload.length)
        offset, syncing = await _receive(node, upload, turn, at, sent)
        if offset == upload.length:
            await _finish(node, viewer, upload, syncing)
    except OSError as error:
        if is_full(error):
            raise StorageFull from None
        raise
    return offset


async def _receive(
    node: Node, upload: ResumableUpload, turn: Turn, at: int, sent: Bytes
) -> tuple[int, ScratchFile | None]:
    """As `store`, and what ends the upload with this request is seen to."""
    try:
        stored = await store(node, upload, turn, at, sent)
    except ENDED as error:
        log.info("upload interrupted", extra={"upload_id": upload.id, "reason": str(error)})
        is_over = isinstance(error, LOST) and node.resumable.drops_at_once()
        await asyncio.shield(node.resumable.remove(upload) if is_over else node.resumable.take_last_byte_back(upload))
        raise
    except NotAVideo:
        await node.resumable.remove(upload)
        raise
    killpoint("tus.appended")
    return stored


async def _finish(node: Node, viewer: Viewer, upload: ResumableUpload, syncing: ScratchFile | None) -> None:
    """It becomes a video, if it still may and is one. Who was refused for good has no upload any more."""
    killpoint("tus.completing")
    try:
        await _complete(node, viewer, upload, syncing.synced if syncing else None)
    except BaseException as error:
        if syncing:
            await asyncio.shield(syncing.close())
        if not node.resumable.is_finished(upload):
            is_final = _is_final(error)
            log.info("upload not completed", extra={"upload_id": upload.id, "reason": str(error), "is_final": is_final})
            await asyncio.shield(_refuse(node, upload) if is_final else node.resumable.take_last_byte_back(upload))
        raise
    upload.digest = None
    node.space.release(upload.id)
    log.info("video stored", extra={"video_id": upload.id, "size": upload.length})


async def _refuse(node: Node, upload: ResumableUpload) -> None:
    await asyncio.to_thread(node.store.remove, upload.owner_id, upload.id)
    await node.resumable.remove(upload)


async def _complete(
    node: Node, viewer: Viewer, upload: ResumableUpload, synced: Callable[[], Awaitable[None]] | None
) -> None:
    part = node.resumable.part(upload)
    admission = await admit(node, viewer, place_of(metadata_of(upload.metadata)))
    take_room(node, admission, upload.id, upload.length)
    async with claimed(node, upload.id, admission):
        with part.open("rb") as file:
            media_type = media_type_at(file.read(HEAD_BYTES))
        sha256 = upload.digest.hexdigest() if upload.digest else await asyncio.to_thread(sha256_of, part)
        await complete(node, admission, Arrived(upload.id, part, upload.length, sha256, media_type, synced))
