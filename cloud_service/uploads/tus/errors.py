"""How a resumable upload may end other than well, beyond what any upload may."""

from shared.problems import AppError, BadRequest, Conflict, NotFound


class VersionNotSupported(AppError):
    status, code, title = 412, "tus_version_not_supported", "Only tus 1.0.0 is spoken here"

    def __init__(self) -> None:
        super().__init__(headers={"Tus-Version": "1.0.0"})


class WrongContentType(AppError):
    status, code, title = 415, "wrong_content_type", "Bytes are sent as application/offset+octet-stream"


class BadUploadHeader(BadRequest):
    code, title = "bad_upload_header", "A header of the upload cannot be read"


class ExtensionNotSupported(BadRequest):
    code, title = "extension_not_supported", "This extension of tus is not spoken here"


class UnknownChecksum(BadRequest):
    code, title = "unknown_checksum", "Checksums are sha1 or sha256"


class ChecksumMismatch(AppError):
    """The status is tus's own."""

    status, code, title = 460, "checksum_mismatch", "The bytes are not those of the checksum, and were thrown away"


class OffsetMismatch(Conflict):
    code, title = "offset_mismatch", "The upload goes on somewhere else"

    def __init__(self, offset: int) -> None:
        super().__init__(f"It goes on at byte {offset}.", headers={"Upload-Offset": str(offset)})


class UploadTakenOver(Conflict):
    code, title = "upload_taken_over", "A newer request has taken this upload over"


class UploadNotFound(NotFound):
    code, title = "upload_not_found", "There is no such upload, or not any more"


class TooManyUploads(AppError):
    status, code, title = 429, "too_many_uploads", "Too many of your uploads are unfinished"

    def __init__(self, why: str) -> None:
        super().__init__(f"Finish or end some: {why}", headers={"Retry-After": "60"})
