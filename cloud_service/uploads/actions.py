"""Taking an upload in one request: rights and room, then bytes, then durable, then known; what fails leaves nothing."""

import asyncio
import hashlib
import json
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from uuid_utils.compat import uuid7

from cloud_service.access.models import Viewer
from cloud_service.db import Transaction
from cloud_service.media.containers import HEAD_BYTES, NO_CONTAINER, media_type_of
from cloud_service.node import Node
from cloud_service.uploads.completion import Arrived, complete
from cloud_service.uploads.digests import ALGORITHMS, check_digests
from cloud_service.uploads.errors import (
    EmptyUpload,
    IdempotencyKeyReused,
    LengthMismatch,
    NotAVideo,
    StorageFull,
    UploadDropped,
    UploadTooLarge,
)
from cloud_service.uploads.pace import paced
from cloud_service.uploads.places import Admission, Place, admit, claimed, take_room
from cloud_service.uploads.scratch import ScratchFile
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import is_full
from cloud_service.vps import VpsUnreachable
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

AHEAD_BYTES = 64 * 2**20
"""How much room a body of unknown length is given at a time."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What a request says before its body. `declared` is the Content-Length in bytes, `digests` by algorithm.

    `recognise` tells a file's media type by its first bytes, or None for one that is not taken.
    """

    place: Place
    declared: int | None = None
    digests: Mapping[str, bytes] = field(default_factory=dict)
    key: str | None = None
    recognise: Callable[[bytes], str | None] = media_type_of

    def to_text(self) -> str:
        """What makes it the same request when it is sent again; the body is compared by itself."""
        place = self.place
        return json.dumps([place.kind, str(place.lesson_id or ""), place.replace, place.title])


@dataclass(frozen=True, slots=True)
class Taken:
    """`is_read` is false when the answer was known before the body came."""

    video: StoredVideo
    is_read: bool = True


async def receive_video(node: Node, viewer: Viewer, upload: Upload, body: AsyncIterator[bytes]) -> Taken:
    """The stored video, durable and about to be announced; with a key that stored it before, that one.

    `body` raises UploadDropped when the client goes away. Whatever goes wrong, the partial file is removed before it
    is answered, and the teacher's cached entry is reset.
    """
    _check_declared(upload.declared, _limit(node, upload.place))
    with node.uploading.one_more(viewer.id):
        return await _receive_once(node, viewer, upload, body)


async def _receive_once(node: Node, viewer: Viewer, upload: Upload, body: AsyncIterator[bytes]) -> Taken:
    """By its key, where it has one."""
    if upload.key is None:
        return Taken(await _receive_new(node, viewer, upload, body))
    with node.keys.held(upload.key):
        use = await node.keys.find(upload.key)
        if use is None or (earlier := node.catalogue.find(use.video_id)) is None:
            return Taken(await _receive_new(node, viewer, upload, body))
        if (use.owner_id, use.request) != (viewer.id, upload.to_text()):
            raise IdempotencyKeyReused
        return Taken(earlier, is_read=await _compare(node, upload, earlier, body))


async def _compare(node: Node, upload: Upload, earlier: StoredVideo, body: AsyncIterator[bytes]) -> bool:
    """Whether the body had to be read to know that it is the same. Raises IdempotencyKeyReused."""
    if upload.declared not in (None, earlier.size):
        raise IdempotencyKeyReused("Its first upload was of another length.")
    if known := upload.digests.get("sha-256"):
        if known.hex() != earlier.sha256:
            raise IdempotencyKeyReused("Its first upload had other bytes.")
        return False
    digest, size = hashlib.sha256(), 0
    async with paced(node.settings, node.database.broken) as pace:
        async for chunk in body:
            pace.arrived(len(chunk))
            size += len(chunk)
            if size > earlier.size:
                raise IdempotencyKeyReused("Its first upload was shorter.")
            await asyncio.to_thread(digest.update, chunk)
            pace.ready()
    if digest.hexdigest() != earlier.sha256:
        raise IdempotencyKeyReused("Its first upload had other bytes.")
    return True


async def read_to_its_end(node: Node, body: AsyncIterator[bytes]) -> None:
    """For clients that hear no answer before they have sent everything. Raises UploadDropped and what ends uploads."""
    async with paced(node.settings, node.database.broken) as pace:
        async for chunk in body:
            pace.arrived(len(chunk))
            pace.ready()


async def _receive_new(node: Node, viewer: Viewer, upload: Upload, body: AsyncIterator[bytes]) -> StoredVideo:
    admission = await admit(node, viewer, upload.place)
    if upload.place.kind != "file":
        node.probing.foresee()
    video_id = str(uuid7())
    with _roomed(node, admission, video_id, upload.declared):
        async with claimed(node, video_id, admission):
            video = await _store(node, admission, video_id, upload, body)
    log.info("video stored", extra={"video_id": video.id, "lesson_id": video.lesson_id, "size": video.size})
    return video


@contextmanager
def _roomed(node: Node, admission: Admission, video_id: str, declared: int | None) -> Iterator[None]:
    """Raises StorageFull, QuotaExceeded."""
    try:
        take_room(node, admission, video_id, declared or 0)
        yield
    finally:
        node.space.release(video_id)


async def _store(
    node: Node, admission: Admission, video_id: str, upload: Upload, body: AsyncIterator[bytes]
) -> StoredVideo:
    digests = {name: ALGORITHMS[name]() for name in {"sha-256": None, **upload.digests}}
    scratch = ScratchFile(node.store.scratch(video_id), digests=list(digests.values()))
    try:
        media_type = await _receive(node, admission, scratch, upload, body)
        await scratch.write_out()
        killpoint("upload.received")
        check_digests(upload.digests, {name: digest.digest() for name, digest in digests.items()})
        scratch.begin_sync()

        async def keep_key(transaction: Transaction, video: StoredVideo) -> None:
            if upload.key is not None:
                await node.keys.keep(transaction, upload.key, upload.to_text(), video)

        admission = await _ask_again(node, admission, video_id, scratch.size)
        sha256 = digests["sha-256"].hexdigest()
        arrived = Arrived(video_id, scratch.path, scratch.size, sha256, media_type, scratch.synced)
        return await complete(node, admission, arrived, keep_key)
    except OSError as error:
        if is_full(error):
            raise StorageFull from None
        raise
    except UploadDropped:
        told = {"video_id": video_id, "received": scratch.size, "declared": upload.declared}
        log.info("upload dropped", extra=told)
        raise
    finally:
        if node.catalogue.find(video_id) is None:
            await asyncio.shield(_clean_up(node, scratch, admission.viewer, video_id))


async def _ask_again(node: Node, admission: Admission, video_id: str, size: int) -> Admission:
    """Of the quota other nodes may have taken some while the bytes came; if the VPS is away, it will see when it hears
    of it. What ended meanwhile, this node may not know.

    Raises QuotaExceeded and, where the right is in doubt, what forbids it, VpsUnreachable too.
    """
    in_doubt = admission.permit.in_doubt
    if admission.quota_bytes is None and not in_doubt:
        return admission
    try:
        now = await admit(node, admission.viewer, admission.place)
    except VpsUnreachable:
        if in_doubt:
            raise
        return admission
    take_room(node, now, video_id, size)
    return now if in_doubt else admission


def _limit(node: Node, place: Place) -> int:
    return node.settings.file_bytes if place.kind == "file" else node.settings.upload_bytes


def _check_declared(declared: int | None, limit: int) -> None:
    if declared == 0:
        raise EmptyUpload("Send the bytes as the body.")
    if declared is not None and declared > limit:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")


async def _receive(
    node: Node, admission: Admission, scratch: ScratchFile, upload: Upload, body: AsyncIterator[bytes]
) -> str:
    """Everything into the file; its media type. What is no video by its first bytes is not read to its end."""
    head, media_type = b"", None
    room = upload.declared or 0
    async with paced(node.settings, node.database.broken, admission.permit) as pace:
        async for chunk in body:
            pace.arrived(len(chunk))
            if media_type is None:
                head += chunk[: HEAD_BYTES - len(head)]
                media_type = upload.recognise(head)
                if media_type is None and len(head) >= HEAD_BYTES:
                    raise NotAVideo(NO_CONTAINER)
            if scratch.size + len(chunk) > room:
                room = _more_room(node, admission, scratch, len(chunk))
            await scratch.write(chunk)
            node.space.wrote(scratch.path.name, scratch.stored)
            pace.ready()
    if scratch.size == 0:
        raise EmptyUpload("Send the bytes as the body.")
    if upload.declared is not None and scratch.size != upload.declared:
        raise LengthMismatch
    if media_type is None:
        raise NotAVideo("The file is too short to be a video.")
    return media_type


def _more_room(node: Node, admission: Admission, scratch: ScratchFile, coming: int) -> int:
    """For a body of unknown length, a stretch at a time. Raises UploadTooLarge, QuotaExceeded, StorageFull."""
    limit, size = _limit(node, admission.place), scratch.size + coming
    if size > limit:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")
    return take_room(node, admission, scratch.path.name, size, min(limit, size + AHEAD_BYTES))


async def _clean_up(node: Node, scratch: ScratchFile, viewer: Viewer, video_id: str) -> None:
    await scratch.discard()
    await asyncio.to_thread(node.store.remove, viewer.id, video_id)
    try:
        await node.rights.forget_standing(viewer.id)
    except sqlite3.Error as error:  # from memory it is gone; why the upload ended is what the client has to hear
        log.warning("a standing is not forgotten for good", extra={"user_id": viewer.id, "reason": str(error)})
