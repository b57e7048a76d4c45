from uuid import UUID

from fastapi import APIRouter

from cloud_service.access.actions import RightsUnknown, VideoNotFound
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.node import CurrentNode
from cloud_service.processing.actions import inspected_video
from cloud_service.processing.queue import percent_done, standing_of
from cloud_service.processing.schemas import ProcessingOut, StepOut
from shared.problems import responses

router = APIRouter(tags=["videos"])


@router.get(
    "/videos/{video_id}/processing",
    summary="How a video's processing goes",
    responses=responses(*OF_VIEWERS, VideoNotFound, RightsUnknown),
)
async def show_processing(video_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> ProcessingOut:
    """For the video's owner, and admins: step by step, earlier attempts too. Lessons' files are not found."""
    video = await inspected_video(node, viewer, video_id)
    attempt, standing = await standing_of(node.database, video)
    return ProcessingOut(
        status=video.status,
        reason=video.reason or None,
        percent_done=await percent_done(node.database, video),
        attempt=attempt,
        step=standing.step or None,
        speed=standing.speed,
        steps=[StepOut.from_done(done) for done in standing.log],
    )
