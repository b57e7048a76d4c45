from uuid import UUID

from cloud_service.uploads.schemas import Refusal, UploadPermission
from shared.contract import StandingAnswer


def permission(standing: StandingAnswer, course_id: UUID | None) -> UploadPermission:
    """Verified teachers may upload, into their own courses."""
    reason: Refusal | None = None
    if not standing.is_teacher:
        reason = "not_a_teacher"
    elif not standing.verified:
        reason = "not_enough_followers"
    elif course_id is not None and course_id not in standing.courses:
        reason = "course_not_yours"
    return UploadPermission(
        allowed=reason is None, reason=reason, followers=standing.followers, required=standing.required
    )
