from typing import Annotated

from fastapi import APIRouter, Query

from shared.problems import NotAuthenticated, responses
from shared.schemas import Page, Text
from vps_service import paging
from vps_service.accounts.current import CurrentLearner, CurrentUser, MaybeUser
from vps_service.accounts.errors import WrongRole
from vps_service.db import Session, Transactions
from vps_service.followers import actions, queries, views
from vps_service.followers.errors import CannotFollowOneself, TeacherNotFound
from vps_service.followers.schemas import FollowedTeacher, FollowOut, TeacherPage, TeacherProfile
from vps_service.limits import actions as limits
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.rules import HOUR_S
from vps_service.turns import TooManyAtOnce
from vps_service.vps import CurrentVps

router = APIRouter(prefix="/api", tags=["followers"])
LOOKED_FOR = "Part of a name or a username; fewer than three letters or digits: what a word begins with."
errors = responses(NotAuthenticated, WrongRole, TeacherNotFound, CannotFollowOneself, TooManyAtOnce)


@router.get("/teachers", summary="Teachers, those with most followers first", responses=responses())
async def list_teachers(
    session: Session,
    vps: CurrentVps,
    q: Annotated[Text | None, Query(max_length=100, description=LOOKED_FOR)] = None,
    limit: paging.Limit = 20,
    cursor: paging.Cursor = None,
) -> Page[TeacherProfile]:
    rows = await queries.directory(session, q=q, after=views.after_in_directory(cursor), limit=limit)
    return paging.page_by_place(
        rows, limit, lambda row: views.teacher_profile(row, vps.settings), views.place_in_directory
    )


@router.get("/teachers/{username}", summary="A teacher", responses=responses(NotAuthenticated, TeacherNotFound))
async def show_teacher(username: Text, viewer: MaybeUser, session: Session, vps: CurrentVps) -> TeacherPage:
    """For everybody. Their courses: `GET /courses?teacher=`."""
    shown = await queries.shown_teacher(session, username, viewer)
    return views.teacher_page(shown, viewer, vps.settings)


@router.get("/users/me/following", summary="Whom I follow, the last one first", responses=responses(NotAuthenticated))
async def list_following(
    user: CurrentUser,
    session: Session,
    vps: CurrentVps,
    limit: paging.Limit = 20,
    cursor: paging.Cursor = None,
) -> Page[FollowedTeacher]:
    rows = await queries.following(session, user, after=views.after_among_followed(cursor), limit=limit)
    return paging.page_by_place(
        rows, limit, lambda row: views.followed_teacher(row, vps.settings), views.place_among_followed
    )


@router.put("/teachers/{username}/follow", summary="Follow a teacher", responses=errors | responses(TooManyRequests))
async def follow(username: Text, follower: CurrentLearner, sessions: Transactions, vps: CurrentVps) -> FollowOut:
    """Counts once per active account with a verified e-mail or phone. Enough of them verify the teacher."""
    await limits.take(sessions, "follows", str(follower.id), most=vps.settings.follows_per_user, per_s=HOUR_S)
    async with vps.follows.turn(username.lower()):
        teacher = await actions.follow(sessions, follower, username, vps.settings.followers_required)
    return FollowOut(username=username, following=True, followers=teacher.followers, verified=teacher.is_verified)


@router.delete("/teachers/{username}/follow", summary="Stop following a teacher", responses=errors)
async def unfollow(username: Text, follower: CurrentLearner, sessions: Transactions, vps: CurrentVps) -> FollowOut:
    """A verified teacher stays verified."""
    async with vps.follows.turn(username.lower()):
        teacher = await actions.unfollow(sessions, follower, username, vps.settings.followers_required)
    return FollowOut(username=username, following=False, followers=teacher.followers, verified=teacher.is_verified)
