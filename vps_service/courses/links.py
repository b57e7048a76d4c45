"""Where videos and files are found: the public address of the node that holds each, and its id."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service import changes
from vps_service.courses.models import Lesson, Section, Video
from vps_service.courses.queries import is_current
from vps_service.courses.schemas import VideoLink
from vps_service.nodes.models import Node


@dataclass(frozen=True)
class Addresses:
    """Of the nodes. `known` is the newest change: `after` it, no node answers by an older refusal."""

    urls: Mapping[str, str]
    known: int

    def uri(self, video: Video) -> str | None:
        """None while nobody knows where its node is."""
        if video.node_id not in self.urls:
            return None
        what = f"files/{video.id}" if video.kind == "file" else f"videos/{video.id}/stream"
        return f"{self.urls[video.node_id]}/{what}?after={self.known}"

    def poster(self, video: Video | None) -> str | None:
        """For everybody while its course is published; None until it is ready, and while its node is unknown."""
        if video is None or video.status != "ready" or video.node_id not in self.urls:
            return None
        return f"{self.urls[video.node_id]}/posters/{video.id}"


async def addresses(session: AsyncSession) -> Addresses:
    known = (await changes.number_now(session)).number
    found = await session.execute(select(Node.id, Node.url).where(Node.url.is_not(None)))
    return Addresses({row.id: row.url for row in found}, known)


async def video_links(session: AsyncSession, course_id: UUID) -> list[VideoLink]:
    """In the order of the lessons."""
    nodes = await addresses(session)
    wanted = (
        select(Lesson, Video)
        .join(Section, Section.id == Lesson.section_id)
        .join(Video, Video.lesson_id == Lesson.id)
        .where(Lesson.course_id == course_id, *is_current)
        .order_by(Section.position, Lesson.position)
    )
    found = [(lesson, video, nodes.uri(video)) for lesson, video in await session.execute(wanted)]
    return [
        VideoLink(lesson_id=lesson.id, title=lesson.title, node=video.node_id, uri=uri)
        for lesson, video, uri in found
        if uri
    ]
