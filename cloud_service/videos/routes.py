from uuid import UUID

from fastapi import APIRouter

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.access.current_viewer import CurrentViewer
from cloud_service.captions.files import languages_of
from cloud_service.node import CurrentNode, DatabaseUnusable
from cloud_service.processing.queue import percent_done
from cloud_service.videos import actions
from cloud_service.videos.schemas import VideoOut
from cloud_service.vps import VpsUnreachable
from shared.problems import NotAuthenticated, responses

router = APIRouter(tags=["videos"])


@router.get(
    "/videos/{video_id}",
    summary="A video's state",
    responses=responses(NotAuthenticated, KeyRequired, VideoNotFound, RightsUnknown, VpsUnreachable, DatabaseUnusable),
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
    responses=responses(NotAuthenticated, VideoNotFound, VpsUnreachable, DatabaseUnusable),
)
async def delete_video(video_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> None:
    """By its teacher. The lesson can take another video afterwards."""
    await actions.delete_video(node, viewer, video_id)


@router.delete(
    "/courses/{course_id}",
    status_code=204,
    summary="Delete a course with its videos",
    responses=responses(
        NotAuthenticated, actions.DeletionNotAllowed, actions.CourseNotFound, VpsUnreachable, DatabaseUnusable
    ),
)
async def delete_course(course_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> None:
    """By its teacher. The VPS agrees first; then files and grants go. Buyers keep a void key as a receipt."""
    await actions.delete_course(node, viewer, course_id)
