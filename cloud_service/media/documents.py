"""Which document a file is, by its content: PDF, Office Open XML (ISO 29500) or OpenDocument (ISO 26300).

An archive is never unpacked: of what is in it only the list is read, and the one entry that says what it is, each up
to a bound. Macros make a document something else.
"""

import struct
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO
from xml.parsers import expat

from shared.problems import AppError

PDF, BYTES = "application/pdf", "application/octet-stream"
_OPENXML = "application/vnd.openxmlformats-officedocument"
_MAIN = {
    f"{_OPENXML}.wordprocessingml.document": ".docx",
    f"{_OPENXML}.spreadsheetml.sheet": ".xlsx",
    f"{_OPENXML}.presentationml.presentation": ".pptx",
}
_OPENDOCUMENT = {
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
}
ENDINGS = {PDF: ".pdf", **_MAIN, **_OPENDOCUMENT}

HEAD_BYTES = 512
SHORTEST_HEAD = 8
TAIL_BYTES = 2048
LIST_BYTES = 2**20
"""Of the list of an archive's entries: a presentation of hundreds of slides has a tenth of it."""
TYPES_BYTES = 2**20
UNPACKED_BYTES = 4 * 2**30
CONTENT_TYPES, MIMETYPE = "[Content_Types].xml", "mimetype"
ACTIVE = ("macroenabled", "vbaproject", "macrosheet", "activex")
"""In a content type: the document brings a program along."""

_END, _END_64, _LOCATOR_64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_UNREADABLE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, NotImplementedError, RuntimeError)

_OTHERS = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "It is of an old Office format, or encrypted; save it as DOCX, XLSX or PPTX.",
    b"MZ": "It is a program.",
    b"\x7fELF": "It is a program.",
    b"#!": "It is a script.",
    b"{\\rtf": "It is RTF; save it as DOCX or PDF.",
    b"PK\x05\x06": "It is an archive without anything in it.",
}
_MARKUP = {
    b"<svg": "It is an SVG picture.",
    b"<html": "It is HTML.",
    b"<!doctype html": "It is HTML.",
    b"<script": "It is HTML.",
}
_NONE = "It is neither PDF nor a document of Word, Excel, PowerPoint or OpenDocument."


class NotADocument(AppError):
    status, code, title = 415, "not_a_document", "The file is none of the documents that lessons take"


def check_head(head: bytes) -> None:
    """Whether what begins so may be a document. Raises NotADocument."""
    if head.startswith((b"%PDF-1.", b"%PDF-2.", b"PK\x03\x04")):
        return
    for beginning, reason in _OTHERS.items():
        if head.startswith(beginning):
            raise NotADocument(reason)
    for word, reason in _MARKUP.items():
        if word in head.lower():
            raise NotADocument(reason)
    if b"%PDF-" in head:
        raise NotADocument("Something else stands before the beginning of the PDF.")
    raise NotADocument(_NONE)


def begins_as_document(head: bytes) -> str:
    """For now no more than bytes; what is too short to be told is looked at when it is whole. Raises NotADocument."""
    if len(head) >= SHORTEST_HEAD:
        check_head(head)
    return BYTES


def document_type(path: Path) -> str:
    """Its media type. Raises NotADocument."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        check_head(head)
        size = file.seek(0, 2)
        if head.startswith(b"%PDF"):
            _check_pdf(file, size)
            return PDF
        _check_list(file, size)
        try:
            with zipfile.ZipFile(file) as archive:
                return _type_of(archive)
        except _UNREADABLE:
            raise NotADocument("It begins as an archive, and cannot be read as one.") from None


def _check_pdf(file: BinaryIO, size: int) -> None:
    """ISO 32000 7.5.5. An archive behind it would make it two things at once."""
    tail = _read(file, max(0, size - TAIL_BYTES), TAIL_BYTES)
    if b"startxref" not in tail or b"%%EOF" not in tail:
        raise NotADocument("The PDF has no end: it was cut short, or is none.")
    if _END in _read(file, max(0, size - 2**16 - 22), 2**16 + 22):
        raise NotADocument("It is a PDF and an archive at once.")


def _check_list(file: BinaryIO, size: int) -> None:
    """The list of entries ends the file and has a bounded length, before anybody reads it into memory."""
    tail = _read(file, max(0, size - 98), 98)
    end = tail[-22:]
    if len(end) < 22 or not end.startswith(_END) or end[20:] != b"\0\0":
        raise NotADocument("It begins as an archive, and does not end as one.")
    (length,) = struct.unpack("<L", end[12:16])
    if tail[-42:-38] == _LOCATOR_64:
        if not tail.startswith(_END_64):
            raise NotADocument("It begins as an archive, and cannot be read as one.")
        (length,) = struct.unpack("<Q", tail[40:48])
    if length > LIST_BYTES:
        raise NotADocument("It is an archive of too many files.")


def _read(file: BinaryIO, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _type_of(archive: zipfile.ZipFile) -> str:
    entries = archive.infolist()
    _check_entries(entries)
    names = {entry.filename for entry in entries}
    if MIMETYPE in names and CONTENT_TYPES in names:
        raise NotADocument("It is of two kinds at once.")
    if entries[0].filename == MIMETYPE:
        return _opendocument(archive, entries[0], names)
    if CONTENT_TYPES in names:
        return _openxml(_bounded(archive, CONTENT_TYPES), names)
    raise NotADocument("It is an archive and no document.")


def _check_entries(entries: list[zipfile.ZipInfo]) -> None:
    if not entries:
        raise NotADocument("It is an archive without anything in it.")
    if min(entry.header_offset for entry in entries) != 0:
        raise NotADocument("Something else stands before the beginning of the archive.")
    if any(entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for entry in entries):
        raise NotADocument("It is compressed as no document is.")
    if len({entry.filename.lower() for entry in entries}) < len(entries):
        raise NotADocument("It has two entries of one name.")
    if any(_leads_out(entry.filename) for entry in entries):
        raise NotADocument("It has an entry whose name leads out of it.")
    if sum(entry.file_size for entry in entries) > UNPACKED_BYTES:
        raise NotADocument(f"Unpacked it would be larger than {UNPACKED_BYTES} bytes.")


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or parts[0] == "" or parts[0].endswith(":")


def _bounded(archive: zipfile.ZipFile, name: str) -> bytes:
    """Whatever size it says it has, no more than this of it is made."""
    with archive.open(name) as entry:
        content = entry.read(TYPES_BYTES + 1)
    if len(content) > TYPES_BYTES:
        raise NotADocument("It is larger inside than any document is.")
    return content


def _opendocument(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, names: set[str]) -> str:
    """ISO 26300-2 3.3: the first entry, as it is."""
    if entry.compress_type != zipfile.ZIP_STORED or entry.header_offset != 0 or entry.file_size > 100:
        raise NotADocument(_NONE)
    media_type = _bounded(archive, MIMETYPE).decode("ascii", "replace")
    if media_type not in _OPENDOCUMENT:
        raise NotADocument(_NONE)
    if any(name.startswith(("Basic/", "Scripts/")) for name in names):
        raise NotADocument("It has macros; save it without them.")
    return media_type


def _openxml(types: bytes, names: set[str]) -> str:
    """ISO 29500-2 10.1.2: the part whose type is that of a main part says what it all is."""
    told = _content_types(types)
    if any(word in media_type.lower() for media_type in told.values() for word in ACTIVE) or any(
        "vbaproject" in name.lower() for name in names
    ):
        raise NotADocument("It has macros; save it without them.")
    found = [
        kind
        for kind in _MAIN
        for part, media_type in told.items()
        if media_type == f"{kind}.main+xml" and part.removeprefix("/") in names
    ]
    if len(found) != 1:
        raise NotADocument(_NONE)
    return found[0]


def _content_types(types: bytes) -> dict[str, str]:
    """The content type of each part that is named there, and of each ending. Raises NotADocument."""
    told: dict[str, str] = {}

    def element(name: str, attributes: dict[str, str]) -> None:
        if name.rpartition(" ")[2] in ("Override", "Default"):
            told[attributes.get("PartName") or attributes.get("Extension", "")] = attributes.get("ContentType", "")

    def declaration(*_: object) -> None:
        raise NotADocument("What it says of itself has declarations that no document has.")

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = element
    parser.StartDoctypeDeclHandler = declaration
    try:
        parser.Parse(types, True)
    except expat.ExpatError:
        raise NotADocument("What it says of itself cannot be read.") from None
    return told
