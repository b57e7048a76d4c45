"""How captions may be refused."""

from shared.problems import AppError, Conflict, Invalid, NotFound


class CaptionsNotFound(NotFound):
    code, title = "captions_not_found", "The video has no captions in this language"


class InvalidLanguage(Invalid):
    code, title = "invalid_language", "This is not a language tag"


class NotCaptions(AppError):
    status, code, title = 415, "not_captions", "The file is neither WebVTT nor SubRip"


class InvalidCaptions(Invalid):
    code, title = "invalid_captions", "The captions cannot be shown as they are"


class TooManyLanguages(Conflict):
    code, title = "too_many_languages", "The video has captions in as many languages as it can have"
