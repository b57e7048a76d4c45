from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import joinedload

from shared.contract import Via
from vps_service.accounts.models import User
from vps_service.community.models import VideoShare
from vps_service.courses import rules
from vps_service.courses.errors import VideoNotFound
from vps_service.courses.models import Video
from vps_service.courses.queries import is_living

is_practice = (Video.kind == "practice", is_living)


async def right_to_practice(session: AsyncSession, viewer: User, video: Video) -> tuple[Via | None, User]:
    """How this viewer has a right to the practice video, if at all, and whose it is."""
    owner = await session.get_one(User, video.owner_id)
    shared = select(VideoShare.id).where(VideoShare.video_id == video.id, VideoShare.user_id == viewer.id)
    is_shared = (await session.scalars(shared)).one_or_none() is not None
    return rules.may_watch_practice(viewer, owner, video, is_shared=is_shared), owner


async def seen_video(session: AsyncSession, viewer: User, video_id: UUID) -> tuple[Video, User, Via]:
    """A practice video, its owner, and how this viewer has a right to it. Raises VideoNotFound without any."""
    video = (await session.scalars(select(Video).where(Video.id == video_id, *is_practice))).one_or_none()
    if video is None:
        raise VideoNotFound
    via, owner = await right_to_practice(session, viewer, video)
    if via is None:
        raise VideoNotFound
    return video, owner, via


async def owned_video(session: AsyncSession, owner: User, video_id: UUID) -> Video:
    """The owner's own practice video, locked. Raises VideoNotFound, also for somebody else's."""
    wanted = select(Video).where(Video.id == video_id, Video.owner_id == owner.id, *is_practice)
    video = (await session.scalars(wanted.with_for_update(key_share=True))).one_or_none()
    if video is None:
        raise VideoNotFound
    return video


async def share_with(session: AsyncSession, video_id: UUID, user_id: UUID) -> VideoShare:
    """One that there is."""
    wanted = select(VideoShare).where(VideoShare.video_id == video_id, VideoShare.user_id == user_id)
    return (await session.scalars(wanted.options(joinedload(VideoShare.user)))).one()


async def shares_of(session: AsyncSession, video_id: UUID, *, after: UUID | None, limit: int) -> Sequence[VideoShare]:
    """The oldest first; one more than `limit`."""
    wanted = select(VideoShare).where(VideoShare.video_id == video_id).options(joinedload(VideoShare.user))
    if after:
        wanted = wanted.where(VideoShare.id > after)
    return (await session.scalars(wanted.order_by(VideoShare.id).limit(limit + 1))).all()


async def shared_with(
    session: AsyncSession, user: User, *, after: UUID | None, limit: int
) -> Sequence[tuple[VideoShare, Video, User]]:
    """What others share with this user, each with its owner, the newest share first; one more than `limit`."""
    wanted = (
        select(VideoShare, Video, User)
        .join(Video, Video.id == VideoShare.video_id)
        .join(User, User.id == Video.owner_id)
        .where(VideoShare.user_id == user.id, User.state == "active", *is_practice)
    )
    if after:
        wanted = wanted.where(VideoShare.id < after)
    rows = await session.execute(wanted.order_by(VideoShare.id.desc()).limit(limit + 1))
    return [(share, video, owner) for share, video, owner in rows]


@dataclass(frozen=True)
class PracticeRights:
    """What decides about many at once: owners by id, videos by id and owner, and who they are shared with."""

    owners: dict[UUID, User]
    videos: dict[tuple[UUID | None, UUID], Video]
    shares: set[tuple[UUID | None, UUID]]

    @classmethod
    async def of(
        cls, session: AsyncSession, owner_ids: Collection[UUID], video_ids: Collection[UUID]
    ) -> "PracticeRights":
        owners = await session.scalars(select(User).where(User.id.in_(owner_ids)))
        videos = await session.scalars(select(Video).where(Video.id.in_(video_ids), *is_practice))
        shares = await session.execute(
            select(VideoShare.video_id, VideoShare.user_id).where(VideoShare.video_id.in_(video_ids))
        )
        return cls(
            owners={owner.id: owner for owner in owners},
            videos={(video.id, video.owner_id): video for video in videos},
            shares={(video_id, user_id) for video_id, user_id in shares},
        )

    def via(self, viewer: User, owner_id: UUID, video_id: UUID | None) -> Via | None:
        """To one video of this owner's, or to all of them."""
        owner, video = self.owners.get(owner_id), self.videos.get((video_id, owner_id))
        if owner is None:
            return None
        return rules.may_watch_practice(viewer, owner, video, is_shared=(video_id, viewer.id) in self.shares)
