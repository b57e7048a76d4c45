from typing import Annotated

from pydantic import BeforeValidator, Field

from shared.schemas import Body, Moment, Out
from vps_service.accounts.schemas import GivenPassword, Phone, unfilled

Code = Annotated[
    str, BeforeValidator(unfilled), Field(pattern=r"^[0-9]{6}$", examples=["123456"], description="Six digits.")
]


class CodeEntered(Body):
    code: Code


class PhoneWanted(Body):
    new_phone: Phone
    password: GivenPassword


class CodeSent(Out):
    """To which phone a code is on its way, and until when it can be entered."""

    phone: str
    expires_at: Moment
