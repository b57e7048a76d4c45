"""How teachers are shown."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from vps_service.accounts.models import User
from vps_service.followers.queries import ShownTeacher
from vps_service.followers.schemas import FollowedTeacher, TeacherPage, TeacherProfile
from vps_service.paging import Place, after_place
from vps_service.profiles.views import public_profile
from vps_service.settings import VpsSettings

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MOST_FOLLOWERS = 2**31 - 1
LATEST_US = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // MICROSECOND


def teacher_profile(shown: ShownTeacher, settings: VpsSettings) -> TeacherProfile:
    return TeacherProfile(
        **public_profile(shown.user, shown.profile, settings).__dict__,
        followers=shown.teacher.followers,
        verified=shown.teacher.is_verified,
    )


def teacher_page(shown: ShownTeacher, viewer: User | None, settings: VpsSettings) -> TeacherPage:
    following = shown.followed_at is not None if viewer else None
    return TeacherPage(**teacher_profile(shown, settings).__dict__, following=following)


def followed_teacher(shown: ShownTeacher, settings: VpsSettings) -> FollowedTeacher:
    return FollowedTeacher.model_validate(
        teacher_profile(shown, settings).__dict__ | {"followed_at": shown.followed_at}
    )


def place_in_directory(shown: ShownTeacher) -> Place:
    return shown.teacher.followers, shown.user.id


def place_among_followed(shown: ShownTeacher) -> Place:
    assert shown.followed_at is not None
    return (shown.followed_at - EPOCH) // MICROSECOND, shown.user.id


def after_in_directory(cursor: str | None) -> Place | None:
    """Raises Invalid."""
    return after_place(cursor, MOST_FOLLOWERS)


def after_among_followed(cursor: str | None) -> tuple[datetime, UUID] | None:
    """Raises Invalid."""
    place = after_place(cursor, LATEST_US)
    return (EPOCH + place[0] * MICROSECOND, place[1]) if place else None
