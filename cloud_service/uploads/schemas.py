from typing import Literal

from shared.schemas import Out

Refusal = Literal["not_a_teacher", "not_enough_followers", "course_not_yours"]


class UploadPermission(Out):
    """`required` followers make a verified teacher; `reason` is null when it is allowed."""

    allowed: bool
    reason: Refusal | None
    followers: int
    required: int
