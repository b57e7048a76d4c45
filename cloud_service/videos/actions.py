"""Finding a video for whoever asks, and deleting it.

To delete, the VPS agrees first, then viewers are denied, then rows and files go; every step may be repeated.
"""

import asyncio
from uuid import UUID

from cloud_service.access.actions import RightsUnknown, VideoNotFound
from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from shared.contract import DELETIONS, Change, DeletionAnswer, DeletionQuestion
from shared.killpoints import killpoint
from shared.problems import Forbidden, NotAuthenticated, NotFound


class CourseNotFound(NotFound):
    code, title = "course_not_found", "There is no such course"


class DeletionNotAllowed(Forbidden):
    code, title = "deletion_not_allowed", "Only its teacher may delete it"


def shown_video(catalogue: Catalogue, video_id: str) -> StoredVideo:
    """Raises VideoNotFound, also for a lesson's file, and RightsUnknown while what was deleted is in doubt."""
    video = catalogue.get(video_id)
    if video is None or video.kind == "file":
        raise VideoNotFound if catalogue.is_confirmed else RightsUnknown
    return video


async def video_for(node: Node, viewer: Viewer, video_id: UUID) -> StoredVideo:
    """The video, for whoever may watch it. Raises what `shown_video` and `Access.check` do."""
    video = shown_video(node.catalogue, str(video_id))
    await node.access.check(viewer, video)
    return video


async def delete_video(node: Node, viewer: Viewer, video_id: UUID) -> None:
    """Raises VideoNotFound, also for somebody else's, and for a lesson's file."""
    video = node.catalogue.find(str(video_id))
    if video is not None and video.kind == "file":
        raise VideoNotFound
    await delete_stored(node, viewer, video_id, is_file=False)


async def delete_stored(node: Node, viewer: Viewer, video_id: UUID, *, is_file: bool) -> None:
    """A video or a file. The VPS agrees again to what the same teacher deleted before.

    It may be on another node, which hears of it from the VPS. Raises VideoNotFound, also for somebody else's.
    """
    video = node.catalogue.find(str(video_id))
    if video is not None and video.owner_id != viewer.id:
        raise VideoNotFound
    await node.outbox.deliver({str(video_id)})  # the VPS cannot agree to delete what it has not heard of yet
    answer = await _ask(node, viewer, video_id=video_id, is_file=is_file)
    if not answer.agreed:
        raise VideoNotFound
    killpoint("deletion.agreed")
    if video is not None:
        await remove_video(node.catalogue, node.store, video)


async def delete_course(node: Node, viewer: Viewer, course_id: UUID) -> None:
    """The course's files here, and every grant with this course id and teacher username. Raises CourseNotFound."""
    await node.outbox.deliver({video.id for video in node.catalogue.of_course(str(course_id))})
    answer = await _ask(node, viewer, course_id=course_id)
    if not answer.agreed:
        raise DeletionNotAllowed if answer.reason == "forbidden" else CourseNotFound
    killpoint("deletion.agreed")
    await node.rights.end_course(str(course_id), answer.as_of)
    await node.rights.forget_standing(viewer.id)
    for video in node.catalogue.of_course(str(course_id)):
        await remove_video(node.catalogue, node.store, video)


async def _ask(
    node: Node,
    viewer: Viewer,
    *,
    video_id: UUID | None = None,
    course_id: UUID | None = None,
    is_file: bool | None = None,
) -> DeletionAnswer:
    """Raises NotAuthenticated for somebody who was signed out."""
    question = DeletionQuestion(video_id=video_id, course_id=course_id, is_file=is_file, **viewer.asker().model_dump())
    answer = await node.vps.post(DELETIONS, question, DeletionAnswer)
    if answer.reason == "signed_out":
        raise NotAuthenticated
    return answer


def deleted_videos(catalogue: Catalogue, change: Change) -> list[StoredVideo]:
    """The videos here that a change says are gone."""
    if change.kind == "course_deleted":
        return catalogue.of_course(str(change.course_id))
    if change.kind == "video_deleted" and (video := catalogue.find(str(change.video_id))):
        return [video]
    return []


async def remove_video(catalogue: Catalogue, store: VideoStore, video: StoredVideo) -> None:
    """Denied, row gone, file gone, in this order; a crash between leaves a file that the sweep removes."""
    await catalogue.remove(video)
    killpoint("deletion.row_gone")
    await asyncio.to_thread(store.remove, video.owner_id, video.id)
