from typing import Literal
from uuid import UUID

from shared.schemas import Body, Moment, Out
from vps_service.followers.models import Teacher


class RoleWanted(Body):
    """Admins are made at the server only."""

    role: Literal["student", "teacher"]


class UserForAdmin(Out):
    id: UUID
    username: str
    name: str
    role: Literal["student", "teacher", "admin"]
    state: Literal["active", "banned", "leaving", "deleted"]
    created_at: Moment


class TeacherForAdmin(Out):
    """`demoted`: no number of followers verifies them again, only an admin does."""

    username: str
    followers: int
    verified: bool
    demoted: bool

    @classmethod
    def from_row(cls, username: str, teacher: Teacher) -> "TeacherForAdmin":
        return cls(
            username=username.lower(),
            followers=teacher.followers,
            verified=teacher.is_verified,
            demoted=teacher.is_demoted,
        )
