"""The peer of the upload figure: the shortest handler that writes a body to disk and syncs it, on the same server."""

import os
import sys

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from shared.serving import serve

TARGET = sys.argv[2]


async def upload(request: Request) -> PlainTextResponse:
    with open(TARGET, "wb") as file:  # noqa: ASYNC230 - as most people would write it
        async for chunk in request.stream():
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return PlainTextResponse("stored", status_code=201)


serve(lambda: Starlette(routes=[Route("/", upload, methods=["POST"])]), "127.0.0.1", int(sys.argv[1]), "the port")
