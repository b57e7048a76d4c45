from uuid import UUID

from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page, Text
from vps_service import paging
from vps_service.accounts.current import CurrentUser
from vps_service.accounts.errors import UserNotFound
from vps_service.accounts.writing import CHANGE
from vps_service.community import actions, queries
from vps_service.community.detail import detail_of, video_detail
from vps_service.community.errors import CannotShareWithOneself
from vps_service.community.schemas import PracticeVideoDetail, ShareOut, VideoPatch
from vps_service.courses.errors import VideoNotFound
from vps_service.courses.links import addresses
from vps_service.db import Session
from vps_service.limits.errors import TooManyRequests
from vps_service.playbacks.queries import views_of

router = APIRouter(prefix="/api", tags=["community"])
of_videos = responses(NotAuthenticated, VideoNotFound)


@router.get("/videos/{video_id}", summary="A practice video", responses=of_videos)
async def show_video(video_id: UUID, viewer: CurrentUser, session: Session) -> PracticeVideoDetail:
    """For whoever may watch it: its owner, whom it is shared with, anyone signed in once it is public, and admins."""
    return await video_detail(session, viewer, video_id)


@router.patch(
    "/videos/{video_id}",
    summary="Change a practice video",
    responses=of_videos | responses(TooManyRequests),
    dependencies=[CHANGE],
)
async def change_video(video_id: UUID, patch: VideoPatch, owner: CurrentUser, session: Session) -> PracticeVideoDetail:
    """One's own. Fields that are left out stay. Once it is not public any more, strangers stop watching."""
    video = await actions.change_video(session, owner, video_id, **patch.changes())
    return detail_of(video, owner, "owner", await addresses(session), await views_of(session, [video.id]))


@router.get("/users/me/shared-videos", summary="Practice videos shared with me", responses=responses(NotAuthenticated))
async def list_shared_videos(
    user: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[PracticeVideoDetail]:
    """What was shared last comes first."""
    rows = await queries.shared_with(session, user, after=paging.after(cursor), limit=limit)
    nodes, views = await addresses(session), await views_of(session, [video.id for _, video, _ in rows])
    shown = {share.id: detail_of(video, owner, "shared", nodes, views) for share, video, owner in rows}
    return paging.page([share for share, _, _ in rows], limit, lambda share: shown[share.id])


@router.get("/videos/{video_id}/shares", summary="Whom a practice video is shared with", responses=of_videos)
async def list_shares(
    video_id: UUID, owner: CurrentUser, session: Session, limit: paging.Limit = 20, cursor: paging.Cursor = None
) -> Page[ShareOut]:
    """One's own; those come first who have it longest."""
    video = await queries.owned_video(session, owner, video_id)
    rows = await queries.shares_of(session, video.id, after=paging.after(cursor), limit=limit)
    return paging.page(rows, limit, ShareOut.from_row)


@router.put(
    "/videos/{video_id}/shares/{username}",
    summary="Share a practice video",
    responses=responses(NotAuthenticated, VideoNotFound, UserNotFound, CannotShareWithOneself, TooManyRequests),
    dependencies=[CHANGE],
)
async def share_video(video_id: UUID, username: Text, owner: CurrentUser, session: Session) -> ShareOut:
    """One's own, with an active student or teacher, who may watch it from now on. Sharing it again changes nothing."""
    return ShareOut.from_row(await actions.share_video(session, owner, video_id, username))


@router.delete(
    "/videos/{video_id}/shares/{username}",
    status_code=204,
    summary="Share a practice video no more",
    responses=responses(NotAuthenticated, VideoNotFound, UserNotFound, TooManyRequests),
    dependencies=[CHANGE],
)
async def unshare_video(video_id: UUID, username: Text, owner: CurrentUser, session: Session) -> None:
    """They stop watching, unless it is public. For somebody it is not shared with this changes nothing."""
    await actions.unshare_video(session, owner, video_id, username)
