"""Taking an upload in one request: rights, then bytes, then durable, then known; what fails leaves nothing behind."""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator

from uuid_utils.compat import uuid7

from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.settings import CloudSettings
from cloud_service.uploads.completion import complete
from cloud_service.uploads.containers import HEAD_BYTES, media_type_of
from cloud_service.uploads.errors import (
    EmptyUpload,
    LengthMismatch,
    NotAVideo,
    StorageFull,
    UploadDropped,
    UploadStalled,
    UploadTooLarge,
)
from cloud_service.uploads.places import Place, admit, check_quota, claimed
from cloud_service.uploads.scratch import ScratchFile
from cloud_service.videos.models import StoredVideo
from shared.killpoints import killpoint

log = logging.getLogger(__name__)


async def receive_video(
    node: Node, viewer: Viewer, place: Place, declared: int | None, body: AsyncIterator[bytes]
) -> StoredVideo:
    """The stored video, durable and about to be announced. `declared` is the Content-Length in bytes, if any.

    `body` raises UploadDropped when the client goes away. Whatever goes wrong, the partial file is removed before it
    is answered, and the teacher's cached entry is reset.
    """
    _check_declared(declared, node.settings.upload_bytes)
    admission = await admit(node, viewer, place)
    check_quota(admission, declared or 0)
    video_id = str(uuid7())
    async with claimed(node, video_id, admission):
        scratch = ScratchFile(node.store.scratch(video_id))
        try:
            media_type = await _receive(scratch, body, declared, node.settings)
            check_quota(admission, scratch.size)
            killpoint("upload.received")
            digest = await scratch.finish()
            killpoint("upload.synced")
            video = await complete(
                node, admission, video_id, scratch.path, size=scratch.size, sha256=digest, media_type=media_type
            )
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StorageFull from None
            raise
        except UploadDropped:
            log.info("upload dropped", extra={"video_id": video_id, "received": scratch.size, "declared": declared})
            raise
        finally:
            if node.catalogue.get(video_id) is None:
                await asyncio.shield(_clean_up(node, scratch, viewer, video_id))
    log.info("video stored", extra={"video_id": video.id, "lesson_id": video.lesson_id, "size": video.size})
    return video


def _check_declared(declared: int | None, limit: int) -> None:
    if declared == 0:
        raise EmptyUpload("Send the video's bytes as the body.")
    if declared is not None and declared > limit:
        raise UploadTooLarge(f"At most {limit} bytes are taken.")


async def _receive(
    scratch: ScratchFile, body: AsyncIterator[bytes], declared: int | None, settings: CloudSettings
) -> str:
    """Everything into the file; its media type. What is no video by its first bytes is not read to its end."""
    head, media_type = b"", None
    now = asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(settings.upload_idle_s) as silence:
            async for chunk in body:
                silence.reschedule(now() + settings.upload_idle_s)
                if media_type is None:
                    head += chunk[: HEAD_BYTES - len(head)]
                    media_type = media_type_of(head)
                    if media_type is None and len(head) >= HEAD_BYTES:
                        raise NotAVideo("The file does not begin as MP4, MOV, MKV, WebM, AVI or MPEG-TS does.")
                await scratch.write(chunk)
                if scratch.size > settings.upload_bytes:
                    raise UploadTooLarge(f"At most {settings.upload_bytes} bytes are taken.")
    except TimeoutError:
        raise UploadStalled(f"Nothing arrived for {settings.upload_idle_s:g} seconds.") from None
    if scratch.size == 0:
        raise EmptyUpload("Send the video's bytes as the body.")
    if declared is not None and scratch.size != declared:
        raise LengthMismatch
    if media_type is None:
        raise NotAVideo("The file is too short to be a video.")
    return media_type


async def _clean_up(node: Node, scratch: ScratchFile, viewer: Viewer, video_id: str) -> None:
    await scratch.discard()
    node.store.remove(viewer.id, video_id)
    await node.rights.forget_standing(viewer.id)
