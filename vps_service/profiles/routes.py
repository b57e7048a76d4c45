from typing import Annotated

from fastapi import APIRouter, Form

from shared.problems import NotAuthenticated, TooLarge, responses
from shared.schemas import Text
from vps_service.accounts.current import CurrentUser
from vps_service.accounts.errors import NotAnImage, TooManyImages, UserNotFound
from vps_service.db import Session, Transactions
from vps_service.limits import actions as limits
from vps_service.limits.errors import TooManyRequests
from vps_service.limits.rules import HOUR_S
from vps_service.profiles import actions, queries
from vps_service.profiles.schemas import Avatar, OwnProfile, ProfilePatch, PublicProfile
from vps_service.profiles.views import own_profile, public_profile
from vps_service.vps import CurrentVps

AVATARS_AN_HOUR = 20
"""Each is decoded, which takes a processor and a hundred megabytes."""

router = APIRouter(prefix="/api", tags=["profiles"])


@router.get("/users/me", summary="My profile", responses=responses(NotAuthenticated))
async def show_own_profile(user: CurrentUser, session: Session, vps: CurrentVps) -> OwnProfile:
    return own_profile(user, await queries.profile_of(session, user), vps.settings)


@router.patch("/users/me", summary="Change my profile", responses=responses(NotAuthenticated))
async def change_profile(patch: ProfilePatch, user: CurrentUser, session: Session, vps: CurrentVps) -> OwnProfile:
    """Fields that are left out stay. E-mail, phone and password have routes of their own, which ask for more."""
    said = patch.changes()
    if patch.notifications:
        said["notifications"] = patch.notifications.changes()
    changed, profile = await actions.change_profile(session, user, **said)
    return own_profile(changed, profile, vps.settings)


@router.put(
    "/users/me/avatar",
    summary="Change my picture",
    responses=responses(NotAuthenticated, NotAnImage, TooLarge, TooManyRequests, TooManyImages),
)
async def change_avatar(
    form: Annotated[Avatar, Form(media_type="multipart/form-data")],
    user: CurrentUser,
    sessions: Transactions,
    vps: CurrentVps,
) -> OwnProfile:
    """Decoded, cropped square and stored anew in two sizes, at an address of its own; the one before is removed."""
    await limits.take(sessions, "avatars", str(user.id), most=AVATARS_AN_HOUR, per_s=HOUR_S)
    raw = await form.image.read()
    changed = await actions.change_avatar(sessions, vps.images, user, raw, vps.settings.image_pixels)
    async with sessions() as session:
        return own_profile(changed, await queries.profile_of(session, changed), vps.settings)


@router.get("/users/{username}", summary="Somebody's profile", responses=responses(UserNotFound))
async def show_profile(username: Text, session: Session, vps: CurrentVps) -> PublicProfile:
    """For everybody: of active students and teachers, and nothing that is private."""
    return public_profile(*await queries.public_user(session, username), vps.settings)
