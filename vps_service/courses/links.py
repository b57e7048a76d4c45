"""Where a course's videos stream from: the public address of the node that holds each, and the video's id."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.courses.models import Lesson, Section, Video
from vps_service.courses.queries import is_current
from vps_service.courses.schemas import VideoLink
from vps_service.nodes.models import Node


async def video_links(session: AsyncSession, course_id: UUID) -> list[VideoLink]:
    """In the order of the lessons. `after` in an address keeps a node from answering by an older refusal."""
    known = (await changes.number_now(session)).number
    wanted = (
        select(Lesson.id, Lesson.title, Video.id.label("video_id"), Video.node_id, Node.url)
        .join(Section, Section.id == Lesson.section_id)
        .join(Video, (Video.lesson_id == Lesson.id) & is_current)
        .join(Node, Node.id == Video.node_id)
        .where(Lesson.course_id == course_id, Node.url.is_not(None))
        .order_by(Section.position, Lesson.position)
    )
    return [
        VideoLink(
            lesson_id=row.id,
            title=row.title,
            node=row.node_id,
            uri=f"{row.url}/videos/{row.video_id}/stream?after={known}",
        )
        for row in await session.execute(wanted)
    ]
