from shared.schemas import Moment, Out
from vps_service.profiles.schemas import PublicProfile


class FollowOut(Out):
    """The teacher as this caller now sees them."""

    username: str
    following: bool
    followers: int
    verified: bool


class TeacherProfile(PublicProfile):
    """A teacher as everybody sees them. `verified`: has reached the followers needed to upload."""

    followers: int
    verified: bool


class TeacherPage(TeacherProfile):
    """`following`: whether the caller does, null for somebody who is not signed in."""

    following: bool | None


class FollowedTeacher(TeacherProfile):
    followed_at: Moment
