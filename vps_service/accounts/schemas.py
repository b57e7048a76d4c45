import re
from typing import Annotated, Literal
from uuid import UUID

from fastapi import UploadFile
from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, StringConstraints, model_validator

from shared.schemas import Body, Moment, Money, Out

PHONE_FILLING = re.compile(r"[\s().-]")


def printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must not contain control characters")
    return text


def unfilled(text: object) -> object:
    """A number without what people write between its digits."""
    return PHONE_FILLING.sub("", text) if isinstance(text, str) else text


def _lower(text: object) -> object:
    return text.strip().lower() if isinstance(text, str) else text


Name = Annotated[str, Field(min_length=1, max_length=100), AfterValidator(printable)]
Username = Annotated[
    str,
    BeforeValidator(_lower),
    Field(min_length=3, max_length=32, pattern=r"^[a-z0-9][a-z0-9._-]*[a-z0-9]$", examples=["mona"]),
]
Email = Annotated[EmailStr, BeforeValidator(_lower), Field(max_length=254)]
Phone = Annotated[
    str,
    BeforeValidator(unfilled),
    Field(pattern=r"^\+[1-9][0-9]{7,14}$", examples=["+201001234567"], description="International, with +."),
]
TotpCode = Annotated[
    str,
    BeforeValidator(unfilled),
    Field(pattern=r"^[0-9]{6}$", examples=["123456"], description="Six digits, as an authenticator app shows them."),
]
Password = Annotated[
    str,
    StringConstraints(strip_whitespace=False, max_length=1000),
    Field(description="8 characters to 72 bytes, not a common one; spaces count."),
]


GivenPassword = Annotated[str, StringConstraints(strip_whitespace=False, max_length=1000)]
"""One that is there already; whether it is any good is not the question."""


class RegisterStudent(Body):
    name: Name
    username: Username
    password: Password
    email: Email | None = None
    phone: Phone | None = None

    @model_validator(mode="after")
    def _reachable(self) -> "RegisterStudent":
        if self.email is None and self.phone is None:
            raise ValueError("an email or a phone is needed")
        return self


class RegisterTeacher(Body):
    """The fields of a multipart form; `image` is a JPEG, PNG or WebP file."""

    name: Name
    username: Username
    phone: Phone
    password: Password
    image: UploadFile
    email: Email | None = None


class PasswordAgain(Body):
    password: GivenPassword


class BothAgain(PasswordAgain):
    """`totp`, or one of the recovery codes in its place, where a second factor is on."""

    totp: TotpCode | None = None
    recovery_code: Annotated[str, Field(max_length=40)] | None = None


class Login(BothAgain):
    """`totp`, or one of the recovery codes in its place, where a second factor is on."""

    login: Annotated[str, Field(max_length=254, description="Username, e-mail or phone.")]


class Refresh(Body):
    refresh_token: Annotated[str, Field(max_length=200)]


Token = Annotated[str, Field(max_length=200, description="What stands behind `#token=` in the link.")]


class VerifyEmail(Body):
    token: Token


class ForgotPassword(Body):
    login: Annotated[str, Field(max_length=254, description="Username, e-mail or phone.")]


class ResetPassword(Body):
    token: Token
    password: Password


class OnItsWay(Out):
    """A mail, if there is anybody to send it to; at most so many an hour go to one address."""

    status: Literal["accepted"] = "accepted"


class SessionOut(Out):
    """Where somebody is signed in: on which device, as it names itself, and from where, the last time it was used."""

    id: UUID
    device: str
    address: str
    created_at: Moment
    last_used_at: Moment
    is_current: bool


class PasswordChange(Body):
    old_password: GivenPassword
    new_password: Password


class EmailWanted(Body):
    new_email: Email
    password: GivenPassword


class TotpConfirmation(Body):
    code: TotpCode


class TotpEnrolment(Out):
    """`uri` (otpauth) is what authenticator apps read from a QR code; the secret in it may be typed instead."""

    secret: str
    uri: str


class RecoveryCodes(Out):
    """Each signs in once when there is no one-time password. They are shown here and never again."""

    recovery_codes: list[str]


class ImageOut(Out):
    square: str
    thumbnail: str


class CourseBrief(Out):
    id: UUID
    title: str
    status: str


class UserOut(Out):
    id: UUID
    role: Literal["student", "teacher", "admin"]
    name: str
    username: str
    email: str | None
    phone: str | None
    image: ImageOut | None
    created_at: Moment


class TeacherOut(UserOut):
    """A teacher's own view of themselves. `verified`: has reached the followers needed to upload."""

    followers: int
    balance: Money
    verified: bool
    courses: list[CourseBrief]


class AuthOut(Out):
    user: TeacherOut | UserOut
    access_token: str
    refresh_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105
    expires_in: int
