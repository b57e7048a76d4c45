"""The pictures that everybody may see: of what is for sale."""

from cloud_service.node import Node
from cloud_service.posters.errors import PosterNotFound
from cloud_service.videos.models import StoredVideo


async def video_with_public_poster(node: Node, video_id: str) -> StoredVideo:
    """A lesson's video, while its course is published. Raises PosterNotFound.

    Asked about are courses of videos that are here only, each once until something about it changes.
    """
    video = node.catalogue.get(video_id)
    if video is None or not _is_a_lessons(video) or not await node.published.includes(video.course_id):
        raise PosterNotFound
    if node.catalogue.get(video_id) is None:  # it took a while
        raise PosterNotFound
    return video


def _is_a_lessons(video: StoredVideo) -> bool:
    """One that plays in its lesson: not what is still to take another's place."""
    return video.kind == "course" and not (video.replaces and video.status != "ready")
