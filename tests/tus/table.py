"""The protocol as a table: a request to an upload in some state, and what has to be answered.

`status` names every status that the protocol leaves open; `says` has a pattern for a header's whole value, or None for
one that must not be there. `offset` is what a HEAD must tell afterwards, or None for an upload that is gone.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urljoin

import httpx

State = Literal["none", "new", "half", "whole", "ended", "unknown"]
VERSION = {"Tus-Resumable": "1.0.0"}
OCTETS = {"Content-Type": "application/offset+octet-stream"}
DATE = r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"
GONE = (404, 410)
UNREADABLE = (400, 422)
NOT_SUPPORTED = (400, 501)
UNKNOWN = "00000000-0000-7000-8000-000000000000"
MAX_SIZE = 64 * 2**20


@dataclass(frozen=True)
class Row:
    name: str
    method: str
    state: State
    headers: Mapping[str, str | None]
    status: tuple[int, ...]
    says: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes = b""
    is_chunked: bool = False
    offset: int | None = 0


def encoded(value: str | bytes) -> str:
    return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()


def metadata(**values: str) -> str:
    return ",".join(f"{name} {encoded(value)}" for name, value in values.items())


class Table:
    """Its rows are about uploads of `film`, with this metadata."""

    def __init__(self, film: bytes, told: str) -> None:
        self.film, self.told = film, told
        self.half, self.size = len(film) // 2, len(film)
        self.creation = {**VERSION, "Upload-Length": str(self.size), "Upload-Metadata": told}

    def rows(self) -> list[Row]:
        groups = (
            *(self.options, self.versions, self.post, self.post_with_bytes, self.head),
            *(self.patch, self.patch_refused, self.checksums, self.delete),
        )
        return [row for group in groups for row in group()]

    def options(self) -> list[Row]:
        told: dict[str, str | None] = {
            "Tus-Version": r"1\.0\.0",
            "Tus-Extension": r"(?=.*creation)(?=.*creation-with-upload)(?=.*termination)(?=.*expiration).*",
            "Tus-Max-Size": str(MAX_SIZE),
            "Tus-Resumable": r"1\.0\.0",
        }
        checks: dict[str, str | None] = {"Tus-Extension": ".*checksum.*", "Tus-Checksum-Algorithm": "(?=.*sha1).*"}
        return [
            Row("options", "OPTIONS", "none", {}, (200, 204), told),
            Row("options tells of checksums", "OPTIONS", "none", {}, (200, 204), checks),
            Row("options of another version", "OPTIONS", "none", {"Tus-Resumable": "9.9.9"}, (200, 204), told),
            Row("options of an upload", "OPTIONS", "new", {}, (200, 204), told),
        ]

    def versions(self) -> list[Row]:
        """Not processed at all, whatever else is right."""
        says = {"Tus-Version": r"1\.0\.0", "Tus-Resumable": r"1\.0\.0", "Upload-Offset": None, "Location": None}
        requests: list[tuple[str, State, Mapping[str, str | None], bytes]] = [
            ("POST", "none", self.creation, b""),
            ("HEAD", "new", {}, b""),
            ("PATCH", "new", self.at(0), self.film),
            ("DELETE", "new", {}, b""),
        ]
        return [
            Row(f"{method} {why} version", method, state, {**headers, "Tus-Resumable": version}, (412,), says, body)
            for method, state, headers, body in requests
            for why, version in (("without a", None), ("of another", "0.2.2"))
        ]

    def at(self, offset: int | str | None, **more: str | None) -> dict[str, str | None]:
        told = None if offset is None else str(offset)
        named = {name.replace("_", "-"): value for name, value in more.items()}
        return {**VERSION, **OCTETS, "Upload-Offset": told, **named}

    def post(self) -> list[Row]:
        def refused(name: str, status: tuple[int, ...], **changes: str | None) -> Row:
            named = {header.replace("_", "-"): value for header, value in changes.items()}
            says = {"Location": None, "Tus-Resumable": r"1\.0\.0"}
            return Row(f"creation {name}", "POST", "none", {**self.creation, **named}, status, says)

        created = {"Location": ".+", "Upload-Expires": DATE, "Tus-Resumable": r"1\.0\.0"}
        wrong = {"negative": "-5", "in words": "many", "with a fraction": "1.5", "empty": "", "in hexadecimal": "0x10"}
        return [
            Row("creation", "POST", "none", self.creation, (201,), created),
            refused("without a length", UNREADABLE, Upload_Length=None),
            *(refused(f"of a length {why}", UNREADABLE, Upload_Length=length) for why, length in wrong.items()),
            refused("beyond the limit", (413,), Upload_Length=str(MAX_SIZE + 1)),
            refused("of a length to be told later", NOT_SUPPORTED, Upload_Length=None, Upload_Defer_Length="1"),
            refused("of a length to be told twice", NOT_SUPPORTED, Upload_Defer_Length="1"),
            refused("of a length deferred wrongly", (400,), Upload_Length=None, Upload_Defer_Length="2"),
            refused("of a part of an upload", NOT_SUPPORTED, Upload_Concat="partial"),
            refused("of parts", NOT_SUPPORTED, Upload_Length=None, Upload_Concat="final;/uploads/a /uploads/b"),
            refused("with metadata that is no Base64", (400,), Upload_Metadata=f"{self.told},filename %%%"),
            refused("with a key twice", (400,), Upload_Metadata=f"{self.told},name YQ==,name Yg=="),
            refused("with a key that is empty", (400,), Upload_Metadata=f"{self.told}, YQ=="),
            Row(
                "creation with keys of the client's own",
                "POST",
                "none",
                {**self.creation, "Upload-Metadata": f"{self.told},filename ZmlsbS5tcDQ=,is_confidential"},
                (201,),
                created,
            ),
        ]

    def post_with_bytes(self) -> list[Row]:
        def row(name: str, status: int, body: bytes, says: Mapping[str, str | None], **more: str | None) -> Row:
            headers = {**self.creation, **OCTETS, **{header.replace("_", "-"): value for header, value in more.items()}}
            return Row(f"creation with {name}", "POST", "none", headers, (status,), says, body)

        part, nothing = self.film[: self.half], {"Location": None, "Upload-Offset": None}
        return [
            row("half of the bytes", 201, part, {"Location": ".+", "Upload-Offset": str(self.half)}),
            row("all of the bytes", 201, self.film, {"Location": ".+", "Upload-Offset": str(self.size)}),
            row("bytes and their checksum", 201, part, {"Location": ".+"}, Upload_Checksum=sha1(part)),
            row("bytes of another checksum", 460, part, nothing, Upload_Checksum=sha1(b"others")),
            row("bytes of another type", 415, part, nothing, Content_Type="application/octet-stream"),
            row("too many bytes", 413, self.film + b"x", nothing),
        ]

    def head(self) -> list[Row]:
        def row(state: State, offset: int) -> Row:
            says: dict[str, str | None] = {
                "Upload-Offset": str(offset),
                "Upload-Length": str(self.size),
                "Upload-Metadata": re.escape(self.told),
                "Cache-Control": ".*no-store.*",
                "Tus-Resumable": r"1\.0\.0",
                "Upload-Defer-Length": None,
            }
            return Row(f"head of one that is {state}", "HEAD", state, VERSION, (200, 204), says, offset=offset)

        missing: dict[str, str | None] = {"Upload-Offset": None, "Tus-Resumable": r"1\.0\.0"}
        return [
            row("new", 0),
            row("half", self.half),
            row("whole", self.size),
            Row("head of one that has ended", "HEAD", "ended", VERSION, GONE, missing, offset=None),
            Row("head of one that never was", "HEAD", "unknown", VERSION, GONE, missing, offset=None),
        ]

    def patched(self, name: str, state: State, at: int, body: bytes, **more: Any) -> Row:
        end = at + len(body)
        says: dict[str, str | None] = {"Upload-Offset": str(end), "Tus-Resumable": r"1\.0\.0"}
        if end < self.size:
            says["Upload-Expires"] = DATE
        headers = {**self.at(at), **more.pop("headers", {})}
        return Row(f"patch {name}", more.pop("method", "PATCH"), state, headers, (204,), says, body, offset=end, **more)

    def patch(self) -> list[Row]:
        film, half = self.film, self.half
        return [
            self.patched("of the first bytes", "new", 0, film[:half]),
            self.patched("of one byte", "new", 0, film[:1]),
            self.patched("of further bytes", "half", half, film[half : half + 7]),
            self.patched("of the last bytes", "half", half, film[half:]),
            self.patched("of everything", "new", 0, film),
            self.patched("in chunks", "new", 0, film[:half], is_chunked=True),
            self.patched("of nothing", "half", half, b""),
            self.patched("of nothing behind the end", "whole", self.size, b""),
            self.patched(
                "by another name",
                "new",
                0,
                film[:half],
                method="POST",
                headers={"X-HTTP-Method-Override": "PATCH"},
            ),
        ]

    def patch_refused(self) -> list[Row]:
        film, half = self.film, self.half

        def row(name: str, status: tuple[int, ...], state: State = "half", **more: Any) -> Row:
            headers = more.pop("headers", self.at(half))
            offset = {"new": 0, "half": half, "whole": self.size, "ended": None, "unknown": None}[state]
            body = more.pop("body", film[half:])
            says = {"Tus-Resumable": r"1\.0\.0"}
            return Row(f"patch {name}", "PATCH", state, headers, status, says, body, offset=offset, **more)

        return [
            row("of another type", (415,), headers=self.at(half, Content_Type="application/octet-stream")),
            row("of no type", (415,), headers=self.at(half, Content_Type=None)),
            row("without an offset", (400, 403, 422), headers=self.at(None)),
            row("at a negative offset", UNREADABLE, headers=self.at(-1)),
            row("at an offset in words", UNREADABLE, headers=self.at("here")),
            row("before the offset", (409,), headers=self.at(0)),
            row("beyond the offset", (409,), headers=self.at(half + 1)),
            row("of a new one beyond its offset", (409,), "new"),
            row("of too many bytes", (413,), body=film[half:] + b"x"),
            row("of too many bytes in chunks", (413,), body=film[half:] + b"x", is_chunked=True),
            row("of bytes behind the end", (413,), "whole", headers=self.at(self.size), body=b"x"),
            row("before the end of one that is whole", (409,), "whole"),
            row("of one that has ended", GONE, "ended", headers=self.at(0)),
            row("of one that never was", GONE, "unknown", headers=self.at(0)),
        ]

    def checksums(self) -> list[Row]:
        part, half = self.film[: self.half], self.half

        def row(name: str, checksum: str, status: int, **more: Any) -> Row:
            offset = half if status == 204 else 0
            headers = self.at(0, Upload_Checksum=checksum)
            return Row(f"checksum {name}", "PATCH", "new", headers, (status,), {}, part, offset=offset, **more)

        sha256 = f"sha256 {encoded(hashlib.sha256(part).digest())}"
        return [
            row("sha1", sha1(part), 204),
            row("sha256", sha256, 204),
            row("in chunks", sha256, 204, is_chunked=True),
            row("of other bytes", sha1(b"others"), 460),
            row("of other bytes, in chunks", sha1(b"others"), 460, is_chunked=True),
            row("of other bytes, sha256", f"sha256 {encoded(bytes(32))}", 460),
            row("of an unknown algorithm", f"crc32c {encoded(b'1234')}", 400),
            row("that is no Base64", "sha1 ???", 400),
            row("that is too short", f"sha1 {encoded(b'1234')}", 400),
            row("without an algorithm", encoded(hashlib.sha1(part, usedforsecurity=False).digest()), 400),
        ]

    def delete(self) -> list[Row]:
        says = {"Tus-Resumable": r"1\.0\.0"}
        ended: tuple[State, ...] = ("new", "half", "whole")
        return [
            *(Row(f"delete of one that is {one}", "DELETE", one, VERSION, (204,), says, offset=None) for one in ended),
            Row("delete of one that has ended", "DELETE", "ended", VERSION, GONE, says, offset=None),
            Row("delete of one that never was", "DELETE", "unknown", VERSION, GONE, says, offset=None),
        ]


def sha1(content: bytes) -> str:
    return f"sha1 {encoded(hashlib.sha1(content, usedforsecurity=False).digest())}"


@dataclass(frozen=True)
class Server:
    """Whichever is tried; `headers` are what it wants with every request."""

    http: httpx.Client
    url: str
    headers: Mapping[str, str]

    def send(
        self, method: str, url: str, headers: Mapping[str, str | None], body: bytes, is_chunked: bool
    ) -> httpx.Response:
        kept = {name: value for name, value in {**self.headers, **headers}.items() if value is not None}
        blocks = (body[at : at + 1000] for at in range(0, len(body), 1000))
        return self.http.request(method, url, headers=kept, content=blocks if is_chunked else body)

    def in_state(self, table: Table, state: State) -> str:
        """The address of an upload that was brought there, or of where uploads begin."""
        if state in ("none", "unknown"):
            return self.url if state == "none" else f"{self.url}/{UNKNOWN}"
        made = self.send("POST", self.url, table.creation, b"", False)
        assert made.status_code == 201, made.text
        address = urljoin(f"{self.url}/", made.headers["location"])
        if state in ("half", "whole"):
            sent = table.film[: table.half] if state == "half" else table.film
            done = self.send("PATCH", address, table.at(0), sent, False)
            assert done.status_code == 204, done.text
        if state == "ended":
            assert self.send("DELETE", address, VERSION, b"", False).status_code == 204
        return address

    def differences(self, table: Table, row: Row) -> list[str]:
        """What is answered otherwise than the row says."""
        address = self.in_state(table, row.state)
        answer = self.send(row.method, address, row.headers, row.body, row.is_chunked)
        found = [] if answer.status_code in row.status else [f"status {answer.status_code}"]
        for name, pattern in row.says.items():
            value = answer.headers.get(name)
            if pattern is None:
                found += [f"with {name}"] if value is not None else []
            elif value is None or not re.fullmatch(pattern, value):
                found.append(f"{name}: {value}")
        if row.state != "none":
            now = self.send("HEAD", address, VERSION, b"", False).headers.get("upload-offset")
            if now != (None if row.offset is None else str(row.offset)):
                found.append(f"then at {now}")
        return found
