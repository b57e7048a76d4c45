from uuid import UUID

from fastapi import APIRouter

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.access.current_viewer import OF_VIEWERS, CurrentViewer
from cloud_service.node import CurrentNode
from cloud_service.playback import actions
from cloud_service.playback.errors import NothingToPlay, TooManyPlaybacks
from cloud_service.playback.schemas import PlaybackOut
from shared.problems import responses

router = APIRouter(tags=["playback"])


@router.post(
    "/videos/{video_id}/playback",
    status_code=201,
    summary="Begin to watch a video",
    responses=responses(
        *OF_VIEWERS,
        KeyRequired,
        VideoNotFound,
        NothingToPlay,
        TooManyPlaybacks,
        RightsUnknown,
    ),
)
async def begin_playback(video_id: UUID, viewer: CurrentViewer, node: CurrentNode) -> PlaybackOut:
    """Signed links for whoever may watch it: HLS, single files, poster, storyboard and captions.

    A user has at most two playbacks at once; one more ends the oldest, whose links answer `playback_moved`.
    """
    watching = await actions.begin_playback(node, viewer, video_id)
    return PlaybackOut.from_watching(watching, viewer.username, node.settings.cloud_url)
