"""Whose follow counts, and when a teacher is verified."""

from sqlalchemy import ColumnElement, and_, or_

from vps_service.accounts.models import User
from vps_service.followers.models import Teacher


def follow_counts() -> ColumnElement[bool]:
    """Only active accounts with a verified e-mail or phone count."""
    return and_(User.state == "active", or_(User.email_verified_at.is_not(None), User.phone_verified_at.is_not(None)))


def becomes_verified(teacher: Teacher, required: int) -> bool:
    """Verified once the number is reached, and not taken away when it falls again; not after a demotion."""
    return not teacher.is_verified and not teacher.is_demoted and teacher.followers >= required
