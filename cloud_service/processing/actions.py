"""Looking at how a video's processing goes."""

from uuid import UUID

from cloud_service.access.actions import KeyRequired, VideoNotFound
from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.videos.actions import shown_video
from cloud_service.videos.models import StoredVideo


async def inspected_video(node: Node, viewer: Viewer, video_id: UUID) -> StoredVideo:
    """The video, for its owner and for whoever reviews it. Nothing is ever made of a lesson's file: it is not found.

    Raises VideoNotFound, NotAuthenticated, RightsUnknown, VpsUnreachable.
    """
    video = shown_video(node.catalogue, str(video_id))
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
