"""How an upload may end other than well."""

from shared.contract import UploadRefusal
from shared.problems import AppError, Conflict, Forbidden, Invalid, NotFound, TooLarge


class UploadNotAllowed(Forbidden):
    code, title = "upload_not_allowed", "This account may not upload course videos"


class LessonNotFound(NotFound):
    code, title = "lesson_not_found", "There is no such lesson"


class LessonHasVideo(Conflict):
    code, title = "lesson_has_video", "This lesson has a video already"


class ReplacementUnderWay(Conflict):
    code, title = "replacement_under_way", "Another video is about to take the place of this lesson's video"


class QuotaExceeded(TooLarge):
    code, title = "quota_exceeded", "Your practice videos would take more room than you have"


class UploadInProgress(Conflict):
    code, title = "upload_in_progress", "A video is being uploaded into this lesson right now"


class EmptyUpload(Invalid):
    code, title = "empty_upload", "The body is empty"


class NotAVideo(AppError):
    status, code, title = 415, "not_a_video", "The file is not a video that can be played"


class UploadTooLarge(TooLarge):
    code, title = "upload_too_large", "The video is larger than allowed"


class UploadStalled(AppError):
    status, code, title = 408, "upload_stalled", "Nothing more arrived"


class LengthMismatch(AppError):
    status, code, title = 400, "length_mismatch", "The body is not as long as was declared"


class UploadDropped(AppError):
    """Answered to nobody: an error of its own, so that an ordinary event is not logged as an unexpected one."""

    status, code, title = 400, "upload_dropped", "The connection was lost before the end of the video"


class StorageFull(AppError):
    status, code, title = 507, "storage_full", "There is no room for this video"


REFUSALS: dict[UploadRefusal, type[AppError]] = {
    "not_a_teacher": UploadNotAllowed,
    "not_enough_followers": UploadNotAllowed,
    "lesson_not_found": LessonNotFound,
    "lesson_has_video": LessonHasVideo,
    "replacement_under_way": ReplacementUnderWay,
}
