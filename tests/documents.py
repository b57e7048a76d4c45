"""Documents as the programs for them write them, and archives that only look like one."""

import io
import struct
import zipfile
from collections.abc import Mapping

PDF = (
    b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
    b"2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n"
    b"trailer<</Root 1 0 R>>\nstartxref\n9\n%%EOF\n"
)
WORD, EXCEL, POWERPOINT = (
    f"application/vnd.openxmlformats-officedocument.{kind}"
    for kind in ("wordprocessingml.document", "spreadsheetml.sheet", "presentationml.presentation")
)
MACROS = "application/vnd.ms-word.document.macroEnabled.main+xml"
NAMESPACE = "http://schemas.openxmlformats.org/package/2006/content-types"
MAIN_PARTS = {WORD: "word/document.xml", EXCEL: "xl/workbook.xml", POWERPOINT: "ppt/presentation.xml"}


def archive(entries: Mapping[str, bytes], stored: tuple[str, ...] = (), comment: bytes = b"") -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in entries.items():
            kind = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            written.writestr(zipfile.ZipInfo(name), content, compress_type=kind)
        written.comment = comment
    return made.getvalue()


def content_types(*overrides: tuple[str, str], before: str = "") -> bytes:
    parts = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in overrides)
    return (
        f'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>{before}<Types xmlns="{NAMESPACE}">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{parts}</Types>'
    ).encode()


def office(kind: str = WORD, more: Mapping[str, bytes] | None = None, types: bytes | None = None) -> bytes:
    """`kind` without `.main+xml`."""
    main = MAIN_PARTS[kind]
    entries = {
        "[Content_Types].xml": types if types is not None else content_types((main, f"{kind}.main+xml")),
        "_rels/.rels": b"<Relationships/>",
        main: b"<document/>",
    }
    return archive(entries | dict(more or {}))


def open_document(kind: str = "text", more: Mapping[str, bytes] | None = None) -> bytes:
    media_type = f"application/vnd.oasis.opendocument.{kind}".encode()
    return archive({"mimetype": media_type, "content.xml": b"<x/>", **(more or {})}, stored=("mimetype",))


def with_64_bit_end(document: bytes) -> bytes:
    """As writers end an archive that do not know beforehand how large it gets."""
    entries, length, start = struct.unpack("<HLL", document[-12:-2])
    at = len(document) - 22
    end = struct.pack("<4sQHHLLQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, entries, entries, length, start)
    return document[:-22] + end + struct.pack("<4sLQL", b"PK\x06\x07", 0, at, 1) + document[-22:]


GOOD = {
    "pdf": (PDF, "application/pdf"),
    "docx": (office(WORD), WORD),
    "xlsx": (office(EXCEL), EXCEL),
    "pptx": (office(POWERPOINT), POWERPOINT),
    "docx-with-a-64-bit-end": (with_64_bit_end(office()), WORD),
    "odt": (open_document("text"), "application/vnd.oasis.opendocument.text"),
    "ods": (open_document("spreadsheet"), "application/vnd.oasis.opendocument.spreadsheet"),
    "odp": (open_document("presentation"), "application/vnd.oasis.opendocument.presentation"),
}


def scripted(address: str) -> dict[str, bytes]:
    """Documents that lessons take, by their endings: each would ask for this address, if anything in it were run."""
    script, action = f"fetch('{address}')", f"this.submitForm('{address}'); app.launchURL('{address}')"
    page = f"<html><body><script>{script}</script></body></html>".encode()
    references = "".join(f"&#{ord(letter)};" for letter in script)  # no slash: it would be a folder
    name, more = f'<img src=x onerror="{references}">', {"page.html": page, "picture.svg": page}
    octal = "".join(f"\\{ord(letter):03o}" for letter in action).encode()
    catalog = b"1 0 obj<</Type/Catalog/Pages 2 0 R/OpenAction<</S/JavaScript/JS(%s)>>" % octal
    return {
        "pdf": PDF.replace(b"1 0 obj<</Type/Catalog/Pages 2 0 R", page + b"\n" + catalog),
        **{
            ending: archive(
                {name: page, **more, "[Content_Types].xml": _types_of(kind), MAIN_PARTS[kind]: page}, (name,)
            )
            for ending, kind in (("docx", WORD), ("xlsx", EXCEL), ("pptx", POWERPOINT))
        },
        **{
            ending: open_document(kind, {name: page, **more})
            for ending, kind in (("odt", "text"), ("ods", "spreadsheet"), ("odp", "presentation"))
        },
    }


def _types_of(kind: str) -> bytes:
    return content_types((MAIN_PARTS[kind], f"{kind}.main+xml"))


def hostile() -> dict[str, bytes]:
    """What no lesson takes, by what it is."""
    word = ("word/document.xml", f"{WORD}.main+xml")
    entities = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    many = archive({f"word/{number:030}.xml": b"" for number in range(16_000)})
    return {
        "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
        "svg-behind-a-declaration": b'<?xml version="1.0"?>\n<!-- so -->\n<svg onload="alert(1)"/>',
        "html": b"<!DOCTYPE html><script>alert(1)</script>",
        "html-with-a-pdf-inside": b"<html><body>" + PDF,
        "pdf-after-something": b"\n" + PDF,
        "pdf-after-a-kilobyte": b"x" * 1000 + PDF,
        "pdf-cut-short": PDF[:60],
        "pdf-of-one-line": b"%PDF-1.7\n" + b"<script>alert(1)</script>" * 100,
        "pdf-and-archive": PDF.replace(b"startxref", office() + b"startxref"),
        "archive-behind-a-pdf": PDF + archive({"a": b""}),
        "script": b"#!/bin/sh\nrm -rf /\n",
        "windows-program": b"MZ" + bytes(600),
        "linux-program": b"\x7fELF" + bytes(600),
        "java-class": b"\xca\xfe\xba\xbe" + bytes(600),
        "old-word": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000),
        "rtf": b"{\\rtf1 so}",
        "text": b"just some text",
        "one-byte": b"%",
        "picture": b"\x89PNG\r\n\x1a\n" + bytes(600),
        "video": b"\0\0\0\x18ftypisom\0\0\0\0isommp41",
        "gif-and-archive": b"GIF89a" + office(),
        "archive": archive({"readme.txt": b"so"}),
        "empty-archive": archive({}),
        "archive-cut-short": office()[:-30],
        "archive-with-something-behind": office() + b"so",
        "archive-with-a-comment": archive({"[Content_Types].xml": content_types(word), word[0]: b""}, comment=b"so"),
        "program-before-an-archive": b"PK\x03\x04" + bytes(100) + office(),
        "epub": archive({"mimetype": b"application/epub+zip"}, stored=("mimetype",)),
        "jar": archive({"META-INF/MANIFEST.MF": b"Main-Class: X", "X.class": b"\xca\xfe\xba\xbe"}),
        "docm": office(types=content_types((word[0], MACROS))),
        "docm-that-says-docx": office(more={"word/vbaProject.bin": b"\xd0\xcf\x11\xe0"}),
        "docm-by-a-content-type": office(
            types=content_types(word, ("word/x.bin", "application/vnd.ms-office.vbaProject"))
        ),
        "xlsm-of-old-macros": office(
            EXCEL,
            types=content_types(
                ("xl/workbook.xml", f"{EXCEL}.main+xml"), ("xl/m.xml", "application/vnd.ms-excel.macrosheet+xml")
            ),
        ),
        "active-x": office(types=content_types(word, ("word/a.xml", "application/vnd.ms-office.activeX+xml"))),
        "odt-with-macros": open_document(more={"Basic/Standard/Module1.xml": b""}),
        "odt-and-docx": open_document(more={"[Content_Types].xml": content_types(word), word[0]: b""}),
        "odt-that-is-compressed": archive({"mimetype": b"application/vnd.oasis.opendocument.text"}),
        "two-main-parts": office(
            more={"xl/workbook.xml": b""}, types=content_types(word, ("xl/workbook.xml", f"{EXCEL}.main+xml"))
        ),
        "main-part-that-is-not-there": office(types=content_types(("word/other.xml", f"{WORD}.main+xml"))),
        "content-types-that-are-no-xml": office(types=b"so"),
        "content-types-in-a-comment": office(types=b"<!-- " + content_types(word) + b" -->"),
        "billion-laughs": office(types=content_types(word, before=entities)),
        "bomb-as-content-types": office(types=content_types(word) + b" " * 20 * 2**20),
        "bomb-that-lies": _lying(office(types=content_types(word) + b" " * 20 * 2**20)),
        "bomb-beside-it": _claiming(office(more={"word/media/a.bin": bytes(1000)}), 2**32 - 2),
        "too-many-entries": many,
        "slip": office(more={"../../../../etc/cron.d/x": b"so"}),
        "slip-with-backslashes": office(more={"..\\..\\x.exe": b"so"}),
        "slip-from-the-root": office(more={"/etc/passwd": b"so"}),
        "slip-to-a-drive": office(more={"C:\\windows\\x": b"so"}),
        "two-of-one-name": office(more={"[CONTENT_TYPES].xml": content_types(word)}),
        "a-list-that-lies": office()[:-12] + struct.pack("<LL", 2**31, 0) + b"\0\0",
        "a-list-that-is-elsewhere": office()[:-10] + struct.pack("<L", 2**31) + b"\0\0",
    }


def _lying(document: bytes) -> bytes:
    """Its first entry says that it is small."""
    at = document.index(b"PK\x01\x02")
    return document[: at + 24] + struct.pack("<L", 100) + document[at + 28 :]


def _claiming(document: bytes, size: int) -> bytes:
    """Its last entries say that they are of this size."""
    at = document.rindex(b"PK\x01\x02")
    first = document.index(b"PK\x01\x02")
    claimed = document[: at + 24] + struct.pack("<L", size) + document[at + 28 :]
    return claimed[: first + 24] + struct.pack("<L", size) + claimed[first + 28 :]
