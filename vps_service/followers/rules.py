"""Whose follow counts, and when a teacher is verified."""

from vps_service.accounts.models import User
from vps_service.followers.models import Teacher


def follow_counts(follower: User) -> bool:
    """Only active accounts with a verified e-mail or phone count."""
    reached = follower.email_verified_at is not None or follower.phone_verified_at is not None
    return follower.is_active and reached


def becomes_verified(teacher: Teacher, required: int) -> bool:
    """Verified once the number is reached, and not taken away when it falls again; not after a demotion."""
    return not teacher.is_verified and not teacher.is_demoted and teacher.followers >= required
