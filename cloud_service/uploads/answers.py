"""What a request that brings an upload says in its headers, and how one that was stored is answered."""

from collections.abc import Coroutine
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Header, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from cloud_service.node import Node
from cloud_service.uploads import digests
from cloud_service.uploads.actions import Taken, read_to_its_end
from cloud_service.uploads.bodies import body_of
from cloud_service.uploads.idempotency import MOST_CHARACTERS
from shared.problems import AppError

ReprDigest = Annotated[list[str] | None, Header(description="RFC 9530: sha-256 or sha-512 of the whole file.")]
IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=MOST_CHARACTERS,
        pattern=r"^[\x20-\x7e]+$",
        description="Of the client's choosing, one for each upload; a UUID does well.",
    ),
]
RAW_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
STORED: dict[int | str, dict[str, Any]] = {
    201: {
        "headers": {
            "Location": {"description": "Its address.", "schema": {"type": "string"}},
            digests.HEADER: {"description": "The SHA-256 of the stored bytes.", "schema": {"type": "string"}},
        }
    }
}


def declared_length(request: Request) -> int | None:
    """In bytes; None for a body whose end tells."""
    length = request.headers.get("content-length")
    return int(length) if length else None


def stored_answer(node: Node, request: Request, taken: Taken, shown: BaseModel, address: str) -> Response:
    headers = {"Location": address, digests.HEADER: digests.repr_digest(taken.video.sha256)}
    answer = JSONResponse(shown.model_dump(mode="json"), 201, headers)
    return answer if taken.is_read else EarlyAnswer(answer, read_to_its_end(node, body_of(request)))


class EarlyAnswer(Response):
    """Sent before the body came: whoever listens need not send it, and the others are heard to their end."""

    def __init__(self, answer: Response, rest: Coroutine[object, object, None]) -> None:
        super().__init__(answer.body, answer.status_code, {**answer.headers, "Connection": "close"})
        self._rest = rest

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        with suppress(AppError):
            await self._rest
        await send({"type": "http.response.body", "body": b"", "more_body": False})
