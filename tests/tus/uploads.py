"""Resumable uploads as one person makes them, step by step."""

from dataclasses import dataclass

import httpx

from tests.both.people import Person, done
from tests.both.toptank import Node
from tests.both.wire import Wire
from tests.tus.table import OCTETS, VERSION, metadata

PRACTICE = {"kind": "practice", "title": "Scales"}


@dataclass(frozen=True)
class Upload:
    """`id` is the later video's."""

    who: Person
    id: str

    @property
    def path(self) -> str:
        return f"/uploads/{self.id}"

    def head(self) -> httpx.Response:
        return self.who.cloud.send("HEAD", self.path, headers=VERSION)

    def offset(self) -> int:
        answer = self.head()
        assert answer.status_code == 200
        return int(answer.headers["upload-offset"])

    def patch(self, at: int, content: bytes, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        told = {**VERSION, **OCTETS, "Upload-Offset": str(at), **named}
        return self.who.cloud.send("PATCH", self.path, headers=told, content=content)

    def delete(self) -> httpx.Response:
        return self.who.cloud.send("DELETE", self.path, headers=VERSION)

    def begin_patch(self, node: Node, at: int, declared: int | None, **headers: str) -> Wire:
        """Whose body is still to be sent; chunked when no length is declared."""
        framing = {"Transfer-Encoding": "chunked"} if declared is None else {"Content-Length": str(declared)}
        told = {**VERSION, **OCTETS, **self.who.cloud.headers, "Upload-Offset": str(at)}
        return Wire(node.url).request("PATCH", self.path, {**told, **framing, **headers})


def create(who: Person, length: int, **told: str) -> httpx.Response:
    """Of a practice video, unless it is told otherwise."""
    headers = {**VERSION, "Upload-Length": str(length), "Upload-Metadata": metadata(**(told or PRACTICE))}
    return who.cloud.post("/uploads", headers=headers)


def begin(who: Person, length: int, **told: str) -> Upload:
    answer = create(who, length, **told)
    done(answer, 201)
    return Upload(who, answer.headers["location"].rpartition("/")[2])
