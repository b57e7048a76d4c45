"""Taking an upload: rights, then bytes, then durable, then known, and whatever fails leaves nothing behind."""

import asyncio
import errno
import logging
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

from uuid_utils.compat import uuid7

from cloud_service.access import marks
from cloud_service.access.models import ANY, Grant, Scope, Viewer
from cloud_service.clock import uptime
from cloud_service.db import Database
from cloud_service.node import Node
from cloud_service.settings import CloudSettings
from cloud_service.uploads.containers import HEAD_BYTES, media_type_of
from cloud_service.uploads.errors import (
    REFUSALS,
    EmptyUpload,
    LengthMismatch,
    LessonHasVideo,
    LessonNotFound,
    NotAVideo,
    StorageFull,
    UploadDropped,
    UploadInProgress,
    UploadStalled,
    UploadTooLarge,
)
from cloud_service.uploads.probe import NoVideo, Probed, probe
from cloud_service.uploads.scratch import ScratchFile
from cloud_service.videos.models import StoredVideo
from shared.contract import UPLOAD_RIGHTS, UploadAnswer, UploadQuestion
from shared.killpoints import killpoint
from shared.problems import NotAuthenticated

log = logging.getLogger(__name__)


async def receive_video(
    node: Node, viewer: Viewer, lesson_id: UUID, declared: int | None, body: AsyncIterator[bytes]
) -> StoredVideo:
    """The stored video, durable and about to be announced. `declared` is the Content-Length in bytes, if any.

    `body` raises UploadDropped when the client goes away. Whatever goes wrong, the partial file is removed before it
    is answered, and the teacher's cached entry is reset.
    """
    _check_declared(declared, node.settings.upload_bytes)
    asked_at = uptime()
    rights = await _ask_rights(node, viewer, lesson_id)
    video_id = str(uuid7())
    async with _claimed_lesson(node, video_id, str(lesson_id), viewer.id):
        scratch = ScratchFile(node.store.scratch(video_id))
        try:
            media_type = await _receive(scratch, body, declared, node.settings)
            killpoint("upload.received")
            digest = await scratch.finish()
            killpoint("upload.synced")
            found = await _look_into(node, scratch)
            video = StoredVideo(
                id=video_id,
                lesson_id=str(lesson_id),
                course_id=str(rights.course_id),
                owner_id=viewer.id,
                teacher_username=rights.teacher_username or "",
                size=scratch.size,
                sha256=digest,
                media_type=media_type,
                duration_s=found.duration_s,
                width=found.width,
                height=found.height,
                stored_at=int(time.time()),
            )
            await _keep(node, video, scratch, _owner_grant(viewer, video, rights), rights.as_of.epoch, asked_at)
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


async def _ask_rights(node: Node, viewer: Viewer, lesson_id: UUID) -> UploadAnswer:
    """Always asked of the VPS: a teacher who was demoted a second ago must not upload."""
    question = UploadQuestion(lesson_id=lesson_id, **viewer.asker().model_dump())
    answer = await node.vps.post(UPLOAD_RIGHTS, question, UploadAnswer)
    if answer.reason == "signed_out":
        raise NotAuthenticated
    if answer.reason:
        refusal = REFUSALS[answer.reason]
        counted = f"{answer.followers} of {answer.required} followers."
        raise refusal(counted if answer.reason == "not_enough_followers" else None)
    if node.catalogue.of_lesson(str(lesson_id)):
        raise LessonHasVideo
    return answer


@asynccontextmanager
async def _claimed_lesson(node: Node, video_id: str, lesson_id: str, owner_id: str) -> AsyncIterator[None]:
    """Of two uploads into one lesson at once, one is refused. Raises UploadInProgress."""
    try:
        async with node.database.transaction() as transaction:
            await transaction.execute(
                "INSERT INTO uploads (id, lesson_id, owner_id) VALUES (?, ?, ?)", (video_id, lesson_id, owner_id)
            )
    except sqlite3.IntegrityError:
        raise UploadInProgress from None
    try:
        yield
    finally:
        await asyncio.shield(_release(node, video_id))


async def forget_claims(database: Database) -> None:
    """At the start: whoever claimed a lesson has ended with the process that received it."""
    async with database.transaction() as transaction:
        await transaction.execute("DELETE FROM uploads")


async def _release(node: Node, video_id: str) -> None:
    async with node.database.transaction() as transaction:
        await transaction.execute("DELETE FROM uploads WHERE id = ?", (video_id,))


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


async def _look_into(node: Node, scratch: ScratchFile) -> Probed:
    try:
        async with node.probing:
            return await probe(scratch.path.absolute())
    except NoVideo as error:
        raise NotAVideo(str(error)) from None


def _owner_grant(viewer: Viewer, video: StoredVideo, rights: UploadAnswer) -> Grant:
    scope = Scope(video.owner_id, video.course_id, ANY)
    return Grant(scope, video.teacher_username, "owner", rights.as_of.number, viewer.generation)


async def _keep(
    node: Node, video: StoredVideo, scratch: ScratchFile, grant: Grant, epoch: UUID, asked_at: float
) -> None:
    """File first, then row and announcement together: a crash between leaves a file that the sweep removes.

    The owner's grant is from when the upload began; after a long one nobody knows any more what ended meanwhile.
    """
    await asyncio.to_thread(node.store.keep, scratch.path, video)
    killpoint("upload.renamed")
    async with node.database.transaction(durable=True) as transaction:
        if await node.catalogue.was_deleted(transaction, video.course_id):
            raise LessonNotFound("The course was deleted meanwhile.")
        if uptime() - asked_at < marks.KEPT_S:
            await node.rights.remember_in(transaction, grant, epoch)
        await node.catalogue.add(transaction, video)
        await node.outbox.add(transaction, video.announcement())
    killpoint("upload.committed")


async def _clean_up(node: Node, scratch: ScratchFile, viewer: Viewer, video_id: str) -> None:
    await scratch.discard()
    node.store.remove(viewer.id, video_id)
    await node.rights.forget_standing(viewer.id)
