"""How people are shown, to themselves and to everybody."""

from typing import cast

from vps_service.accounts.models import User
from vps_service.accounts.views import image_of
from vps_service.profiles.models import Profile
from vps_service.profiles.schemas import ExperienceLevel, Notifications, OwnProfile, PublicProfile
from vps_service.settings import VpsSettings


def own_profile(user: User, profile: Profile, settings: VpsSettings) -> OwnProfile:
    return OwnProfile(
        id=user.id,
        role=user.role,
        username=user.username,
        full_name=user.name,
        email=user.email,
        email_verified=user.email_verified_at is not None,
        phone=user.phone,
        phone_verified=user.phone_verified_at is not None,
        image=image_of(user, settings),
        bio=profile.bio,
        instruments=profile.instruments,
        experience_level=cast("ExperienceLevel | None", profile.experience_level),
        locale=user.locale,
        notifications=Notifications(email=profile.email_notifications, push=profile.push_notifications),
        created_at=user.created_at,
    )


def public_profile(user: User, profile: Profile, settings: VpsSettings) -> PublicProfile:
    """Of a student or a teacher."""
    return PublicProfile.model_validate(
        {
            "username": user.username,
            "full_name": user.name,
            "role": user.role,
            "image": image_of(user, settings),
            "bio": profile.bio,
            "instruments": profile.instruments,
            "experience_level": profile.experience_level,
            "created_at": user.created_at,
        }
    )
