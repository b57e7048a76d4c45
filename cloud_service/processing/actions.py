"""Looking at how a video's processing goes."""

from uuid import UUID

from cloud_service.access.actions import KeyRequired, RightsUnknown, VideoNotFound
from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.videos.models import StoredVideo


async def inspected_video(node: Node, viewer: Viewer, video_id: UUID) -> StoredVideo:
    """The video, for its owner and for whoever reviews it.

    Raises VideoNotFound, NotAuthenticated, RightsUnknown, VpsUnreachable.
    """
    video = node.catalogue.get(str(video_id))
    if video is None:
        raise VideoNotFound if node.catalogue.is_confirmed else RightsUnknown
    try:
        await node.access.check(viewer, video)
    except KeyRequired:
        raise VideoNotFound from None
    if video.owner_id == viewer.id:
        return video
    grant = node.rights.grant_for(viewer.id, video)
    if grant is None or grant.via != "review":
        raise VideoNotFound
    return video
