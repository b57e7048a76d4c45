"""A practice video as it is shown to whoever may watch it."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from shared.contract import Via
from vps_service.accounts.models import User
from vps_service.community import queries
from vps_service.community.schemas import PersonCard, PracticeVideoDetail
from vps_service.courses.detail import Views, practice_video
from vps_service.courses.links import Addresses, addresses
from vps_service.courses.models import Video
from vps_service.playbacks.queries import views_of


async def video_detail(session: AsyncSession, viewer: User, video_id: UUID) -> PracticeVideoDetail:
    """Raises VideoNotFound, also for who may not watch it."""
    video, owner, via = await queries.seen_video(session, viewer, video_id)
    return detail_of(video, owner, via, await addresses(session), await views_of(session, [video.id]))


def detail_of(video: Video, owner: User, via: Via, nodes: Addresses, views: Views) -> PracticeVideoDetail:
    shown = practice_video(video, nodes, views)
    if via not in ("owner", "review"):
        shown.reason = ""
    return PracticeVideoDetail(
        **shown.__dict__,
        owner=PersonCard.model_validate(owner),
        description=video.description,
        piece_name=video.piece_name,
        composer=video.composer,
        practice_goals=video.practice_goals,
        is_public=video.is_public,
    )
