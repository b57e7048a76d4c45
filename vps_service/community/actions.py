"""What an owner makes of a practice video: what they say of it, and who may watch it."""

from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from vps_service import changes
from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.models import User
from vps_service.accounts.queries import user_by_username
from vps_service.community import queries
from vps_service.community.errors import CannotShareWithOneself
from vps_service.community.models import VideoShare
from vps_service.courses.models import Video


async def change_video(
    session: AsyncSession, owner: User, video_id: UUID, *, is_public: bool | None = None, **told: str
) -> Video:
    """Change what is given; `told` are what else a video's row has for its owner to say. Raises VideoNotFound."""
    video = await queries.owned_video(session, owner, video_id)
    for name, text in told.items():
        setattr(video, name, text)
    if is_public is not None and is_public != video.is_public:
        video.is_public = is_public
        changes.record(session, "video_visibility_changed", course_id=owner.id, video_id=video.id)
    await session.flush()
    return video


async def share_video(session: AsyncSession, owner: User, video_id: UUID, username: str) -> VideoShare:
    """Sharing again changes nothing. Raises VideoNotFound, UserNotFound, CannotShareWithOneself.

    An admin is not found: of them nobody is told that there is such an account.
    """
    video = await queries.owned_video(session, owner, video_id)
    user = await user_by_username(session, username)
    if user.id == owner.id:
        raise CannotShareWithOneself
    if user.has_role("admin"):
        raise UserNotFound
    row = insert(VideoShare).values(id=uuid7(), video_id=video.id, user_id=user.id).on_conflict_do_nothing()
    if (await session.execute(row.returning(VideoShare.id))).scalar_one_or_none():
        changes.record(session, "video_shared", user_id=user.id, course_id=owner.id, video_id=video.id)
    return await queries.share_with(session, video.id, user.id)


async def unshare_video(session: AsyncSession, owner: User, video_id: UUID, username: str) -> None:
    """Also with who was banned or made an admin meanwhile. What was not shared stays so.

    Raises VideoNotFound, UserNotFound; also of an admin with whom it was not shared.
    """
    video = await queries.owned_video(session, owner, video_id)
    user = await user_by_username(session, username, banned_too=True)
    gone = delete(VideoShare).where(VideoShare.video_id == video.id, VideoShare.user_id == user.id)
    if (await session.execute(gone.returning(VideoShare.id))).scalar_one_or_none():
        changes.record(session, "video_unshared", user_id=user.id, course_id=owner.id, video_id=video.id)
    elif user.has_role("admin"):
        raise UserNotFound
