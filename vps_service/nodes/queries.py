from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.courses.models import Video
from vps_service.nodes.models import Node, NodeKey


async def nodes(session: AsyncSession) -> Sequence[Node]:
    return (await session.scalars(select(Node).order_by(Node.id))).all()


async def admitted_nodes(session: AsyncSession) -> Sequence[Node]:
    """Those that may call: a node that was removed is known for the videos that it holds."""
    admitted = exists().where(NodeKey.node_id == Node.id)
    return (await session.scalars(select(Node).where(admitted).order_by(Node.id))).all()


async def videos_by_node(session: AsyncSession, course_id: UUID) -> dict[str, int]:
    """How many of the course's videos each node holds."""
    counted = (
        select(Video.node_id, func.count().label("videos"))
        .where(Video.course_id == course_id, Video.deleted_at.is_(None))
        .group_by(Video.node_id)
    )
    return {row.node_id: row.videos for row in await session.execute(counted)}


async def practice_videos_by_node(session: AsyncSession, owner_id: UUID) -> dict[str, int]:
    """How many of the user's practice videos each node holds."""
    counted = (
        select(Video.node_id, func.count().label("videos"))
        .where(Video.owner_id == owner_id, Video.kind == "practice", Video.deleted_at.is_(None))
        .group_by(Video.node_id)
    )
    return {row.node_id: row.videos for row in await session.execute(counted)}


async def missing_by_node(session: AsyncSession) -> dict[str, int]:
    """How many videos each node should hold and does not."""
    counted = (
        select(Video.node_id, func.count().label("videos"))
        .where(Video.missing_since.is_not(None), Video.deleted_at.is_(None))
        .group_by(Video.node_id)
    )
    return {row.node_id: row.videos for row in await session.execute(counted)}
