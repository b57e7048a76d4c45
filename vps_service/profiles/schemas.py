import unicodedata
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from fastapi import UploadFile
from pydantic import AfterValidator, Field

from shared.schemas import Body, Moment, Out, Patch
from vps_service.accounts.schemas import ImageOut, Name, printable

ExperienceLevel = Literal["beginner", "intermediate", "advanced", "professional"]


def _without_controls(text: str) -> str:
    if any(unicodedata.category(letter) == "Cc" and letter not in "\n\r\t" for letter in text):
        raise ValueError("must not contain control characters")
    return text


def _each_once(names: list[str]) -> list[str]:
    """In the order given; two spellings that differ in capitals alone are one."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(name.casefold(), name)
    return list(first.values())


Bio = Annotated[str, Field(max_length=2000), AfterValidator(_without_controls)]
Instrument = Annotated[str, Field(min_length=1, max_length=50, examples=["oud"]), AfterValidator(printable)]
Locale = Annotated[
    str,
    Field(
        pattern=r"^[a-z]{2,3}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?$",
        examples=["ar-EG"],
        description="Language, script and region as BCP 47 writes them.",
    ),
]


class NotificationsPatch(Patch):
    email: bool | None = None
    push: bool | None = None


class ProfilePatch(Patch):
    """`full_name` is the `name` of the registration. Null for `experience_level` or `locale`: not said."""

    NULLABLE: ClassVar = frozenset({"experience_level", "locale"})

    full_name: Name | None = None
    bio: Bio | None = None
    instruments: Annotated[list[Instrument], Field(max_length=20), AfterValidator(_each_once)] | None = None
    experience_level: ExperienceLevel | None = None
    locale: Locale | None = None
    notifications: NotificationsPatch | None = None


class Avatar(Body):
    """The field of a multipart form: a JPEG, PNG or WebP file."""

    image: UploadFile


class Notifications(Out):
    """How somebody wants to be told, beside the list that the product shows."""

    email: bool
    push: bool


class PublicProfile(Out):
    """What everybody may see of somebody."""

    username: str
    full_name: str
    role: Literal["student", "teacher"]
    image: ImageOut | None
    bio: str
    instruments: list[str]
    experience_level: ExperienceLevel | None
    created_at: Moment


class OwnProfile(Out):
    """What one sees of oneself."""

    id: UUID
    role: Literal["student", "teacher", "admin"]
    username: str
    full_name: str
    email: str | None
    email_verified: bool
    phone: str | None
    phone_verified: bool
    image: ImageOut | None
    bio: str
    instruments: list[str]
    experience_level: ExperienceLevel | None
    locale: str | None
    notifications: Notifications
    created_at: Moment
