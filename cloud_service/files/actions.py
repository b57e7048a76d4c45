"""The files of lessons: kept, announced and deleted as videos are, and never played."""

from uuid import UUID

from cloud_service.access.actions import RightsUnknown, VideoNotFound
from cloud_service.access.models import Viewer
from cloud_service.node import Node
from cloud_service.videos.actions import delete_stored
from cloud_service.videos.models import StoredVideo
from shared.problems import NotFound


class FileNotThere(NotFound):
    code, title = "file_not_found", "There is no such file"


async def file_for(node: Node, viewer: Viewer, file_id: UUID) -> StoredVideo:
    """The file, for whoever may watch its lesson's video. Raises FileNotThere and what `Access.check` does."""
    file = node.catalogue.get(str(file_id))
    if file is None and not node.catalogue.is_confirmed:
        raise RightsUnknown
    if file is None or file.kind != "file":
        raise FileNotThere
    try:
        await node.access.check(viewer, file)
    except VideoNotFound:
        raise FileNotThere from None
    return file


async def delete_file(node: Node, viewer: Viewer, file_id: UUID) -> None:
    """As a video is. Raises FileNotThere, also for somebody else's."""
    file = node.catalogue.find(str(file_id))
    if file is not None and file.kind != "file":
        raise FileNotThere
    try:
        await delete_stored(node, viewer, file_id, is_file=True)
    except VideoNotFound:
        raise FileNotThere from None
