from fastapi import APIRouter

from shared.problems import NotAuthenticated, responses
from shared.schemas import Text
from vps_service.accounts.current import CurrentLearner
from vps_service.accounts.errors import WrongRole
from vps_service.db import Session
from vps_service.followers import actions
from vps_service.followers.errors import CannotFollowOneself, TeacherNotFound
from vps_service.followers.schemas import FollowOut
from vps_service.vps import CurrentVps

router = APIRouter(prefix="/api", tags=["followers"])
errors = responses(NotAuthenticated, WrongRole, TeacherNotFound, CannotFollowOneself)


@router.put("/teachers/{username}/follow", summary="Follow a teacher", responses=errors)
async def follow(username: Text, follower: CurrentLearner, session: Session, vps: CurrentVps) -> FollowOut:
    """Counts once per active account with a verified e-mail or phone. Enough of them verify the teacher."""
    teacher = await actions.follow(session, follower, username, vps.settings.followers_required)
    return FollowOut(username=username, following=True, followers=teacher.followers, verified=teacher.is_verified)


@router.delete("/teachers/{username}/follow", summary="Stop following a teacher", responses=errors)
async def unfollow(username: Text, follower: CurrentLearner, session: Session, vps: CurrentVps) -> FollowOut:
    """A verified teacher stays verified."""
    teacher = await actions.unfollow(session, follower, username, vps.settings.followers_required)
    return FollowOut(username=username, following=False, followers=teacher.followers, verified=teacher.is_verified)
