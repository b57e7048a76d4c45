from typing import Literal
from uuid import UUID

from shared.schemas import Body, Moment, Out
from vps_service.accounts.models import User
from vps_service.followers.models import Teacher

State = Literal["active", "banned", "leaving", "deleted"]


class RoleWanted(Body):
    """Admins are made at the server only."""

    role: Literal["student", "teacher"]


class UserForAdmin(Out):
    id: UUID
    username: str
    name: str
    role: Literal["student", "teacher", "admin"]
    state: State
    created_at: Moment


class FoundUser(UserForAdmin):
    """`verified` ones have shown that the address is theirs."""

    email: str | None
    phone: str | None
    email_verified: bool
    phone_verified: bool

    @classmethod
    def from_row(cls, user: User) -> "FoundUser":
        return cls(
            **UserForAdmin.model_validate(user).model_dump(),
            email=user.email,
            phone=user.phone,
            email_verified=user.email_verified_at is not None,
            phone_verified=user.phone_verified_at is not None,
        )


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
