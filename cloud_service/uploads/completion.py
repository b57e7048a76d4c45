"""From bytes that are all there to a video that is known: looked into, put in its place, announced, queued."""

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from cloud_service.access import marks
from cloud_service.access.actions import RightsUnknown
from cloud_service.access.models import ANY, Grant, Scope
from cloud_service.clock import uptime
from cloud_service.db import Transaction, is_locked
from cloud_service.media.documents import document_type
from cloud_service.media.names import with_ending
from cloud_service.node import Node
from cloud_service.processing.queue import enqueue
from cloud_service.uploads.errors import ENDED_BY, LessonHasVideo, LessonNotFound, ReplacementUnderWay
from cloud_service.uploads.places import Admission, admit
from cloud_service.uploads.probe import Probed
from cloud_service.videos.models import StoredVideo
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

NOT_LOOKED_INTO = Probed(duration_s=0, width=0, height=0, plays=False)
TRIES = 3
"""How often a locked database is waited for, and the VPS asked again: the bytes took longer to come."""
Within = Callable[[Transaction, StoredVideo], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes that are all there, `size` of them in the file `path`; `media_type` is what they begin as.

    They are synced to the disk, or are as soon as `synced` returns: meanwhile they can be looked into.
    """

    video_id: str
    path: Path
    size: int
    sha256: str
    media_type: str
    synced: Callable[[], Awaitable[None]] | None = None


async def complete(node: Node, admission: Admission, arrived: Arrived, within: Within | None = None) -> StoredVideo:
    """The stored video; the file is gone from its place when this returns.

    `within` the transaction that stores the video others write what belongs to it.

    Raises NotAVideo, NotInspected, NotADocument, LessonNotFound for a course that was deleted meanwhile, SignedOut,
    NotAllowedAnyMore; where a reset came between, what the VPS says now, and RightsUnknown if there is no end of them.
    What was moved by then, the caller removes (`VideoStore.remove`).
    """
    title, media_type, found = admission.title, arrived.media_type, NOT_LOOKED_INTO
    if admission.place.kind == "file":
        media_type = await asyncio.to_thread(document_type, arrived.path)
        title = with_ending(title, media_type)
    else:
        found = await node.probing.look_into(arrived.path, arrived.sha256, admission.viewer.id)
    if arrived.synced:
        await arrived.synced()
    killpoint("upload.synced")
    video = _video(admission, arrived, title, media_type, found)
    await _keep(node, video, arrived.path, admission, within)
    return video


def _video(admission: Admission, arrived: Arrived, title: str, media_type: str, found: Probed) -> StoredVideo:
    place = admission.place
    return StoredVideo(
        id=arrived.video_id,
        kind=place.kind,
        title=title,
        lesson_id=str(place.lesson_id or ""),
        course_id=admission.course_id,
        owner_id=admission.viewer.id,
        teacher_username=admission.teacher_username,
        size=arrived.size,
        sha256=arrived.sha256,
        media_type=media_type,
        duration_s=found.duration_s,
        width=found.width,
        height=found.height,
        plays=found.plays,
        replaces=admission.replaces,
        status="ready" if place.kind == "file" else "processing",
        stored_at=int(time.time()),
    )


async def _keep(node: Node, video: StoredVideo, scratch: Path, admission: Admission, within: Within | None) -> None:
    """File first, then row, announcement and job together: a crash between leaves a file that the sweep removes."""
    await asyncio.to_thread(node.store.keep, scratch, video)
    killpoint("upload.renamed")
    for tries_left in reversed(range(TRIES)):
        try:
            await _write_down(node, video, admission, within)
            break
        except RightsUnknown:
            if not tries_left:
                raise
            admission = await admit(node, admission.viewer, admission.place)
        except sqlite3.OperationalError as error:
            if is_locked(error) and tries_left:
                log.warning("the database is locked", extra={"video_id": video.id})
                continue
            raise
    killpoint("upload.committed")


async def _write_down(node: Node, video: StoredVideo, admission: Admission, within: Within | None) -> None:
    """The owner's grant is from when the rights were asked for; after long nobody knows what ended meanwhile."""
    async with node.database.transaction(durable=True) as transaction:
        if await node.catalogue.was_deleted(transaction, video.course_id):
            raise LessonNotFound("The course was deleted meanwhile.")
        if reason := admission.permit.ended:
            raise ENDED_BY[reason]
        if admission.permit.in_doubt:
            raise RightsUnknown(retry_after_s=1)
        if uptime() - admission.asked_at < marks.KEPT_S:
            node.rights.lets_in(admission.viewer, admission.as_of)
            await node.rights.remember_in(transaction, _owner_grant(admission), admission.as_of.epoch)
        try:
            await node.catalogue.add(transaction, video)
        except sqlite3.IntegrityError:
            raise (ReplacementUnderWay if video.replaces else LessonHasVideo) from None
        await node.outbox.add(transaction, video.announcement())
        if video.status == "processing":
            await enqueue(transaction, video)
        if within:
            await within(transaction, video)


def _owner_grant(admission: Admission) -> Grant:
    viewer = admission.viewer
    scope = Scope(viewer.id, admission.course_id, ANY)
    return Grant(scope, admission.teacher_username, "owner", admission.as_of.number, viewer.generation, True)
