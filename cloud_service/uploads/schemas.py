from shared.contract import UploadRefusal
from shared.schemas import Out


class UploadPermission(Out):
    """`required` followers make a verified teacher; `reason` is null when it is allowed."""

    allowed: bool
    reason: UploadRefusal | None
    followers: int
    required: int
