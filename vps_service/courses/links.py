"""Where a course's videos stream from: the node's public address and the video's id."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.courses.queries import lessons_of
from vps_service.courses.schemas import VideoLink


async def video_links(session: AsyncSession, course_id: UUID, cloud_url: str) -> list[VideoLink]:
    """Where each stored video of the course streams from."""
    return [
        VideoLink(lesson_id=lesson.id, title=lesson.title, uri=f"{cloud_url}/videos/{video.id}/stream")
        for lesson, video in await lessons_of(session, course_id)
        if video is not None
    ]
