"""The bytes of a resumable upload: from a request into its part, and kept or taken back as the request ends."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass

from cloud_service.media.containers import HEAD_BYTES, NO_CONTAINER, media_type_of
from cloud_service.node import Node
from cloud_service.uploads.errors import (
    NodeStopping,
    NotAllowedAnyMore,
    NotAVideo,
    SignedOut,
    UploadDropped,
    UploadStalled,
    UploadTooLarge,
    UploadTooLong,
    UploadTooSlow,
)
from cloud_service.uploads.pace import paced
from cloud_service.uploads.scratch import ScratchFile
from cloud_service.uploads.tus.errors import ChecksumMismatch, UploadTakenOver
from cloud_service.uploads.tus.headers import Checksum
from cloud_service.uploads.tus.living import cut
from cloud_service.uploads.tus.models import ResumableUpload
from cloud_service.uploads.tus.turns import Turn
from cloud_service.videos.store import is_full

LOST = (UploadDropped, UploadStalled, UploadTooSlow, UploadTooLong)
"""The connection is lost, or as good as that. What had arrived is kept."""
ENDED = (*LOST, UploadTakenOver, NodeStopping, SignedOut, NotAllowedAnyMore, asyncio.CancelledError)
"""However the request ends then, its upload can be gone on with."""


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


async def expect_nothing(sent: Bytes) -> None:
    """Raises UploadTooLarge."""
    async for chunk in sent.body:
        if chunk:
            raise UploadTooLarge("The upload is complete.")


async def store(
    node: Node, upload: ResumableUpload, turn: Turn, at: int, sent: Bytes
) -> tuple[int, ScratchFile | None]:
    """What arrives, on the disk for good; how far the upload is then. With its last byte it is a file that is still
    being synced, and can be looked into meanwhile.

    When the client is gone half-way, that half is kept, and so is what fits a disk that fills up; not so with a
    checksum, as it may be wrong.
    """
    checked = hashlib.new(sent.checksum.algorithm) if sent.checksum else None
    digest = upload.digest.copy() if upload.digest else None
    if checked:
        await node.resumable.be_sure_of(upload, at)
    node.probing.foresee()
    file = ScratchFile(node.resumable.part(upload), offset=at, digests=[one for one in (digest, checked) if one])
    is_kept = is_syncing = is_cut = False
    try:
        await _receive(node, upload, file, turn, sent)
        await file.write_out()
        if sent.checksum and checked and not hmac.compare_digest(checked.digest(), sent.checksum.digest):
            raise ChecksumMismatch
        is_kept, is_syncing = True, file.size == upload.length and checked is None
    except ENDED:
        is_kept = checked is None
        raise
    except OSError as error:
        is_cut = checked is None and is_full(error)
        raise
    finally:
        if is_kept:
            upload.digest = digest
        if is_syncing:
            file.begin_sync()
        elif is_cut:
            await asyncio.shield(_keep_what_fits(node, upload, file))
        else:
            await asyncio.shield(_put_away(node, upload, file, None if is_kept else at))
    return file.size, file if is_syncing else None


async def _keep_what_fits(node: Node, upload: ResumableUpload, file: ScratchFile) -> None:
    await file.close()
    upload.digest, upload.is_synced = None, False
    node.space.wrote(upload.id, file.stored)


async def _put_away(node: Node, upload: ResumableUpload, file: ScratchFile, back_to: int | None) -> None:
    """What is kept of it is on the disk when this returns; with `back_to`, nothing behind that many bytes."""
    try:
        if back_to is None:
            await file.sync()
    except OSError:
        upload.digest, upload.is_synced = None, False  # which knows of bytes that the disk did not take
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
    async with turn.receiving(), paced(node.settings, node.database.broken, upload.permit) as pace:
        async for chunk in sent.body:
            pace.arrived(len(chunk))
            if file.size + len(chunk) > upload.length:
                raise UploadTooLarge(f"The upload is of {upload.length} bytes.")
            if head is not None:
                head += chunk[: HEAD_BYTES - len(head)]
                if len(head) == HEAD_BYTES:
                    media_type_at(head)
                    head = None
            await file.write(chunk)
            node.space.wrote(upload.id, file.stored)
            pace.ready()


def _head(file: ScratchFile) -> bytes | None:
    """Its first bytes, as long as there are too few to tell what it is; None when it was told."""
    return file.path.read_bytes() if file.size < HEAD_BYTES else None


def media_type_at(head: bytes) -> str:
    """Of a file that begins so. Raises NotAVideo."""
    media_type = media_type_of(head)
    if media_type is None:
        raise NotAVideo(NO_CONTAINER)
    return media_type
