"""Signed links alone, over the folder of a node that does not run (`TOPTANK_CLOUD_DATA_DIR`): what it knows stays.

`ours` is what stands in front of a node's framework. `file_response` is how most people would write it: a route of
FastAPI that checks what ours checks, and Starlette's FileResponse.
"""

import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import FileResponse

from cloud_service.clock import uptime
from cloud_service.middleware import FastLane, is_fast
from cloud_service.node import Node
from cloud_service.opening import open_node
from cloud_service.playback.links import linked
from cloud_service.playback.play import Play
from cloud_service.playback.tokens import NoToken, read
from cloud_service.settings import CloudSettings
from cloud_service.videos.actions import shown_video
from shared import logs
from shared.serving import serve
from shared.settings import load

FORBIDDEN, NOT_FOUND = 403, 404


def create_app(settings: CloudSettings, answer: Callable[[FastAPI], None]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        node = await open_node(settings)
        app.state.node, app.state.play, app.state.stream = node, Play(node), None
        yield
        await node.vps.close()
        await node.database.close()

    app = FastAPI(lifespan=lifespan)

    @app.get("/health/live")
    async def live() -> bool:
        return True

    answer(app)
    return app


def ours(app: FastAPI) -> None:
    app.add_middleware(FastLane, api=app)


def file_response(app: FastAPI) -> None:
    @app.get("/play/{token}/{name}")
    async def play(token: str, name: str, request: Request) -> FileResponse:
        node: Node = request.app.state.node
        try:
            claims = read(node.playback_secrets.live, token)
        except NoToken:
            raise HTTPException(NOT_FOUND) from None
        playback, now = node.playbacks.get(claims.playback_id), uptime()
        if claims.ends_at <= time.time() or not (playback and node.playbacks.is_live(playback, now)):
            raise HTTPException(NOT_FOUND)
        video = shown_video(node.catalogue, claims.video_id)
        if playback.video_id != video.id or not node.access.lets_in(playback.viewer, video):
            raise HTTPException(FORBIDDEN)
        node.playbacks.use(playback, now)
        file = linked(node.store, video, name, has_original=playback.has_original)
        return FileResponse(file.path, media_type=file.media_type, headers={"Cache-Control": "private, no-cache"})


WAYS = {answer.__name__: answer for answer in (ours, file_response)}


def main() -> None:
    settings = load(CloudSettings)
    answer = WAYS[sys.argv[1]]
    logs.configure(settings.node_id, settings.log_level)
    port_setting = "TOPTANK_CLOUD_PORT"
    at_once = is_fast if answer is ours else None
    serve(lambda: create_app(settings, answer), settings.cloud_host, settings.cloud_port, port_setting, at_once)


if __name__ == "__main__":
    main()
