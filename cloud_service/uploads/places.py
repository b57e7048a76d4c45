"""Where an upload is to go, whether it may, and that nobody else is filling the same place meanwhile."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from cloud_service.access.models import Viewer
from cloud_service.access.permits import Permit
from cloud_service.clock import uptime
from cloud_service.db import Database
from cloud_service.node import Node
from cloud_service.uploads.errors import (
    REFUSALS,
    QuotaExceeded,
    ReplacementStillHere,
    UploadInProgress,
    VideoStillHere,
)
from cloud_service.videos.actions import remove_video
from shared.contract import UPLOAD_RIGHTS, Position, UploadAnswer, UploadQuestion, VideoKind
from shared.problems import NotAuthenticated

log = logging.getLogger(__name__)

TELLING_S = 5.0


@dataclass(frozen=True, slots=True)
class Place:
    """What the client wants: a lesson's video (`replace`: in place of the one it has) or file, or a practice video.

    `title` is a practice video's title or a file's name.
    """

    kind: VideoKind
    lesson_id: UUID | None = None
    title: str = ""
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Admission:
    """The VPS's yes to an upload, as it was. Ids are text; `asked_at` in seconds of uptime.

    The `permit` says whether it still is one.
    """

    place: Place
    viewer: Viewer
    course_id: str
    teacher_username: str
    replaces: str
    as_of: Position
    asked_at: float
    permit: Permit
    quota_bytes: int | None
    """What its user may keep on this node in all, where there is a bound."""
    lesson_title: str = ""

    @property
    def title(self) -> str:
        """What it is to be called: a lesson's video as its lesson is now."""
        return self.lesson_title if self.place.kind == "course" else self.place.title


async def admit(node: Node, viewer: Viewer, place: Place) -> Admission:
    """Always asked of the VPS: a teacher who was demoted a second ago must not upload. Raises what forbids it."""
    asked_at = uptime()
    question = UploadQuestion(
        kind=place.kind, lesson_id=place.lesson_id, replace=place.replace, **viewer.asker().model_dump()
    )
    if place.kind == "course":
        await _tell_of(node, str(place.lesson_id))
    async with node.admitting:
        answer = await node.vps.post(UPLOAD_RIGHTS, question, UploadAnswer)
    if answer.reason == "signed_out":
        raise NotAuthenticated
    if answer.reason:
        refusal = REFUSALS[answer.reason]
        counted = f"{answer.followers} of {answer.required} followers."
        raise refusal(counted if answer.reason == "not_enough_followers" else None)
    permit = node.rights.permit(viewer, answer.as_of, to_teach=place.kind != "practice")
    replaces = str(answer.replaces or "")
    if place.kind == "course":
        await _check_lesson(node, str(place.lesson_id), replaces)
    return Admission(
        place=place,
        viewer=viewer,
        course_id=str(answer.course_id),
        teacher_username=answer.teacher_username or "",
        replaces=replaces,
        as_of=answer.as_of,
        asked_at=asked_at,
        permit=permit,
        quota_bytes=answer.quota_bytes - answer.used_elsewhere_bytes if place.kind == "practice" else None,
        lesson_title=answer.lesson_title,
    )


async def _tell_of(node: Node, lesson_id: str) -> None:
    """What is here already: the VPS has to know, and that one failed too, to let another follow.

    Who has to wait long is not told.
    """
    held = {video.id for video in node.catalogue.of_lesson(lesson_id)}
    if not held:
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(TELLING_S):
            await node.outbox.deliver(held)


async def _check_lesson(node: Node, lesson_id: str, replaces: str) -> None:
    """What is here, and is not there: the VPS has not heard of it yet, or this node not of its deletion.

    A replacement that failed, the VPS has just deleted.
    """
    for video in node.catalogue.of_lesson(lesson_id):
        if video.came_late:
            continue
        if video.replaces and video.replaces == replaces and video.status == "error":
            await remove_video(node.catalogue, node.store, video)
        elif video.id != replaces:
            raise ReplacementStillHere if video.replaces else VideoStillHere


def take_room(node: Node, admission: Admission, upload_id: str, size: int, up_to: int = 0) -> int:
    """Room for `size` bytes in all, and for as many more `up_to` as there are; how many it may bring for now.

    Before the first byte, and again by whoever needs more. `node.space` is to be told what was written, and when the
    upload is over (`release`). Raises QuotaExceeded, StorageFull.
    """
    user_id = admission.viewer.id
    if admission.quota_bytes is None:
        return node.space.reserve(upload_id, size, up_to)
    mine = [video for video in node.catalogue if video.kind == "practice" and video.owner_id == user_id]
    under_way = node.space.charged(user_id, {upload_id, *(video.id for video in mine)})
    left = admission.quota_bytes - under_way - sum(video.size for video in mine)
    if size > left or left <= 0:
        raise QuotaExceeded(f"{max(0, left)} bytes are left for your practice videos.")
    return node.space.reserve(upload_id, size, min(up_to, left), quota_of=user_id)


@asynccontextmanager
async def claimed(node: Node, video_id: str, admission: Admission) -> AsyncIterator[None]:
    """Of two uploads into one place at once, one is refused. Raises UploadInProgress."""
    place = _claim(admission.place, video_id)
    try:
        async with node.database.transaction() as transaction:
            claims = [row["id"] for row in await transaction.fetch("SELECT id FROM uploads WHERE place = ?", (place,))]
            if any(claim in node.claims for claim in claims):
                raise UploadInProgress
            await transaction.execute(
                "INSERT OR REPLACE INTO uploads (id, place, owner_id) VALUES (?, ?, ?)",
                (video_id, place, admission.viewer.id),
            )
            transaction.on_commit(lambda: node.claims.add(video_id))
        yield
    finally:
        if video_id in node.claims:
            node.claims.remove(video_id)
            await asyncio.shield(_release(node, video_id))


def _claim(place: Place, video_id: str) -> str:
    """A lesson takes one video at a time; of anything else there may be many."""
    return str(place.lesson_id) if place.kind == "course" else video_id


async def forget_claims(database: Database) -> None:
    """At the start: whoever claimed a place has ended with the process that received it."""
    async with database.transaction() as transaction:
        await transaction.execute("DELETE FROM uploads")


async def _release(node: Node, video_id: str) -> None:
    """A claim that stays because nothing can be written keeps nobody out: it is not in `node.claims` any more."""
    try:
        async with node.database.transaction() as transaction:
            await transaction.execute("DELETE FROM uploads WHERE id = ?", (video_id,))
    except sqlite3.Error as error:
        log.warning("claim not released", extra={"video_id": video_id, "reason": str(error)})
