"""The peer of the upload figure: the shortest handler that writes a body to disk and syncs it, on uvicorn as it is."""

import os
import sys

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

TARGET = sys.argv[2]


async def upload(request: Request) -> PlainTextResponse:
    with open(TARGET, "wb") as file:  # noqa: ASYNC230 - as most people would write it
        async for chunk in request.stream():
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return PlainTextResponse("stored", status_code=201)


app = Starlette(routes=[Route("/", upload, methods=["POST"])])
uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), loop="uvloop", http="httptools", log_level="warning")
