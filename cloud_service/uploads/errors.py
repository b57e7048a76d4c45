"""How an upload may end other than well."""

from cloud_service.access.actions import RightsUnknown
from cloud_service.access.permits import Reason
from cloud_service.uploads.tus.errors import TooManyUploads
from shared.contract import UploadRefusal
from shared.problems import (
    AppError,
    BadRequest,
    Conflict,
    Forbidden,
    Invalid,
    NotAuthenticated,
    NotFound,
    TooLarge,
    Unavailable,
)

LATER = "It is being deleted, or was stored a moment ago. Try again in a second."


class UploadNotAllowed(Forbidden):
    code, title = "upload_not_allowed", "This account may not upload course videos"


class NotAllowedAnyMore(UploadNotAllowed):
    """Since the upload began."""


class SignedOut(NotAuthenticated):
    """Since the upload began."""


class LessonNotFound(NotFound):
    code, title = "lesson_not_found", "There is no such lesson"


class LessonHasVideo(Conflict):
    code, title = "lesson_has_video", "This lesson has a video already"


class ReplacementUnderWay(Conflict):
    code, title = "replacement_under_way", "Another video is about to take the place of this lesson's video"


class VideoStillHere(LessonHasVideo):
    """As this node has it, and the VPS has not: one of them is about to hear of it from the other."""

    def __init__(self) -> None:
        super().__init__(LATER, headers={"Retry-After": "1"})


class ReplacementStillHere(ReplacementUnderWay):
    """As `VideoStillHere`."""

    def __init__(self) -> None:
        super().__init__(LATER, headers={"Retry-After": "1"})


class QuotaExceeded(TooLarge):
    code, title = "quota_exceeded", "Your practice videos would take more room than you have"


class UploadInProgress(Conflict):
    code, title = "upload_in_progress", "A video is being uploaded into this lesson right now"


class EmptyUpload(Invalid):
    code, title = "empty_upload", "The body is empty"


class NotAVideo(AppError):
    status, code, title = 415, "not_a_video", "The file is not a video that can be played"


class NotInspected(Unavailable):
    code, title = "not_inspected", "The file could not be looked into right now"


class UploadTooLarge(TooLarge):
    code, title = "upload_too_large", "The upload is larger than allowed"


class UploadStalled(AppError):
    status, code, title = 408, "upload_stalled", "Nothing more arrived"


class UploadTooSlow(AppError):
    status, code, title = 408, "upload_too_slow", "The bytes arrive too slowly"


class UploadTooLong(AppError):
    status, code, title = 408, "upload_deadline_passed", "The upload takes too long"


class NodeStopping(Unavailable):
    code, title = "node_stopping", "The node is being restarted"


class InvalidDigest(BadRequest):
    code, title = "invalid_repr_digest", "The Repr-Digest field cannot be read"


class DigestMismatch(AppError):
    status, code, title = 422, "digest_mismatch", "The bytes that arrived are not those that were sent"


class IdempotencyKeyReused(AppError):
    status, code, title = 422, "idempotency_key_reused", "This Idempotency-Key was used for another upload"


class IdempotencyKeyInUse(Conflict):
    code, title = "idempotency_key_in_use", "The upload with this Idempotency-Key is still under way"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class LengthMismatch(AppError):
    status, code, title = 400, "length_mismatch", "The body is not as long as was declared"


class UploadDropped(AppError):
    """Answered to nobody: an error of its own, so that an ordinary event is not logged as an unexpected one."""

    status, code, title = 400, "upload_dropped", "The connection was lost before the end of the video"


class StorageFull(AppError):
    status, code, title = 507, "storage_full", "There is no room for this upload"


REFUSALS: dict[UploadRefusal, type[AppError]] = {
    "not_a_teacher": UploadNotAllowed,
    "not_enough_followers": UploadNotAllowed,
    "lesson_not_found": LessonNotFound,
    "lesson_has_video": LessonHasVideo,
    "replacement_under_way": ReplacementUnderWay,
}

ENDED_BY: dict[Reason, type[AppError]] = {"signed_out": SignedOut, "demoted": NotAllowedAnyMore}

OF_UPLOADS: tuple[type[AppError], ...] = (
    UploadNotAllowed,
    LessonNotFound,
    LessonHasVideo,
    ReplacementUnderWay,
    UploadInProgress,
    TooManyUploads,
    EmptyUpload,
    NotAVideo,
    NotInspected,
    UploadTooLarge,
    QuotaExceeded,
    UploadStalled,
    UploadTooSlow,
    UploadTooLong,
    LengthMismatch,
    InvalidDigest,
    DigestMismatch,
    IdempotencyKeyReused,
    IdempotencyKeyInUse,
    StorageFull,
    NodeStopping,
    RightsUnknown,
)
"""Whatever an upload in one request may be refused with."""
