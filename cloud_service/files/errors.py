"""How a file of a lesson may be refused."""

from shared.problems import AppError, Invalid, NotFound


class FileNotThere(NotFound):
    code, title = "file_not_found", "There is no such file"


class InvalidName(Invalid):
    code, title = "invalid_name", "The file cannot have this name"


class NotADocument(AppError):
    status, code, title = 415, "not_a_document", "The file is none of the documents that lessons take"
