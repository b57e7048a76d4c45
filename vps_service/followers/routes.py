from fastapi import APIRouter, Request

from shared.problems import NotAuthenticated, responses
from shared.schemas import Text
from vps_service.accounts.current import CurrentLearner, WrongRole
from vps_service.db import Session
from vps_service.followers import actions
from vps_service.followers.schemas import FollowOut

router = APIRouter(prefix="/api", tags=["followers"])
errors = responses(NotAuthenticated, WrongRole, actions.TeacherNotFound, actions.CannotFollowOneself)


@router.put("/teachers/{username}/follow", summary="Follow a teacher", responses=errors)
async def follow(username: Text, follower: CurrentLearner, session: Session, request: Request) -> FollowOut:
    """Counts once per active account with a verified e-mail or phone. Enough of them verify the teacher."""
    required: int = request.app.state.settings.followers_required
    teacher = await actions.follow(session, follower, username, required)
    return FollowOut(username=username, following=True, followers=teacher.followers, verified=teacher.is_verified)


@router.delete("/teachers/{username}/follow", summary="Stop following a teacher", responses=errors)
async def unfollow(username: Text, follower: CurrentLearner, session: Session, request: Request) -> FollowOut:
    """A verified teacher stays verified."""
    required: int = request.app.state.settings.followers_required
    teacher = await actions.unfollow(session, follower, username, required)
    return FollowOut(username=username, following=False, followers=teacher.followers, verified=teacher.is_verified)
