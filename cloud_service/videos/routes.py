from uuid import UUID

from fastapi import APIRouter

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.captions.files import languages_of
from cloud_service.node import CurrentNode
from cloud_service.processing.queue import percent_done
from cloud_service.videos import actions
from cloud_service.videos.schemas import VideoOut
from shared.problems import responses

router = APIRouter(tags=["videos"])


@router.get(
    "/videos/{video_id}",
    summary="A video's state",
    responses=responses(*OF_VIEWERS, KeyRequired, VideoNotFound, RightsUnknown),
)
async def show_video(video_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> VideoOut:
    """For whoever may watch it."""
    video = await actions.video_for(node, viewer, video_id)
    captions = await languages_of(node.database, video.id)
    shown = VideoOut.from_stored(video, await percent_done(node.database, video), captions)
    if not node.access.looks_after(viewer, video):
        shown.reason = None
    return shown


@router.delete(
    "/videos/{video_id}",
    status_code=204,
    summary="Delete a video",
    responses=responses(*OF_VIEWERS, VideoNotFound),
)
async def delete_video(video_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> None:
    """By its teacher. The lesson can take another video afterwards."""
    await actions.delete_video(node, viewer, video_id)


@router.delete(
    "/courses/{course_id}",
    status_code=204,
    summary="Delete a course with its videos",
    responses=responses(*OF_VIEWERS, actions.DeletionNotAllowed, actions.CourseNotFound),
)
async def delete_course(course_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> None:
    """By its teacher. The VPS agrees first; then files and grants go. Buyers keep a void key as a receipt."""
    await actions.delete_course(node, viewer, course_id)
