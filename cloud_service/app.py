import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.telemetry import TelemetryConfig
from starlette.routing import BaseRoute

from cloud_service import health, metrics
from cloud_service.captions import routes as captions
from cloud_service.db import FILE
from cloud_service.files import routes as files
from cloud_service.guard import set_aside
from cloud_service.middleware import READ_BY_PAGES, SENT_BY_PAGES, CloseRefusedUploads, FastLane, takes_upload
from cloud_service.node import DatabaseUnusable, Node
from cloud_service.opening import open_node, working
from cloud_service.playback import routes as playback
from cloud_service.playback.openapi import document_bytes
from cloud_service.playback.play import Play
from cloud_service.playback.stream import Stream
from cloud_service.posters import routes as posters
from cloud_service.processing import routes as processing
from cloud_service.settings import CloudSettings
from cloud_service.uploads import routes as uploads
from cloud_service.uploads.ending import end_uploads
from cloud_service.uploads.tus import routes as tus
from cloud_service.uploads.tus.middleware import SpeaksTus
from cloud_service.videos import routes as videos
from shared import health as liveness
from shared import problems
from shared.cors import let_pages_read
from shared.jobs import running
from shared.killpoints import killpoint
from shared.logs import RequestLog
from shared.schemas import CONVENTIONS
from shared.serving import BodyLimit

log = logging.getLogger(__name__)

JSON_BYTES = 2**20
REOPEN_S = 1.0
NOT_TRACED: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""A trace would hold the tokens of links; and to look for somebody who collects traces is a cost of every request."""


FEATURES = (uploads, tus, videos, playback, posters, processing, captions, files)


def _make_routes() -> list[BaseRoute]:
    api = APIRouter(generate_unique_id_function=lambda route: route.name)
    for feature in (*FEATURES, health, metrics, liveness):
        api.include_router(feature.router)
    return api.routes


ROUTES = _make_routes()
"""Once a process, however many apps it makes: what FastAPI works out about each at the first request, it keeps here."""


def _show(app: FastAPI, node: Node | None) -> None:
    """What requests are answered by from now on; without a node every one of them is a 503."""
    app.state.node = node
    app.state.stream = Stream(node) if node else None
    app.state.play = Play(node) if node else None


async def _keep_open(app: FastAPI, settings: CloudSettings, node: Node) -> None:
    """Until cancelled: as often as the database breaks, start again with a new one, made from the disk and the VPS."""
    while True:
        async with working(node):
            await node.database.broken.wait()
            _show(app, None)
        await end_uploads(node)
        left = await node.playbacks.left_over()
        node = await _reopened(settings)
        _show(app, node)
        try:
            await node.playbacks.end_left_over(left)
        except sqlite3.Error:
            log.exception("playbacks ended untold", extra={"playbacks": len(left)})


async def _reopened(settings: CloudSettings) -> Node:
    is_set_aside = False
    while True:
        try:
            if not is_set_aside:
                await asyncio.to_thread(set_aside, settings.folder / FILE)
            is_set_aside = True
            killpoint("database.set_aside")
            return await open_node(settings)
        except Exception:
            log.exception("the node cannot be opened")
            await asyncio.sleep(REOPEN_S)


def _answer_database_failures(app: FastAPI) -> None:
    """A database that is locked or damaged is a 503 with Retry-After, and one line in the log, not a traceback."""

    async def unusable(_: Request, error: Exception) -> JSONResponse:
        log.error("database failed", extra={"reason": str(error)})
        return problems.problem_response(DatabaseUnusable())

    app.add_exception_handler(sqlite3.Error, unusable)


def create_app(settings: CloudSettings) -> FastAPI:
    """A node; everything long-lived is on `app.state`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        node = await open_node(settings)
        _show(app, node)
        async with running(_keep_open(app, settings, node)):
            yield

    documented = settings.environment != "production"
    app = FastAPI(
        title="TopTank Cloud",
        version="1",
        summary="A video node: uploads and streaming.",
        lifespan=lifespan,
        redirect_slashes=False,
        description=CONVENTIONS,
        routes=ROUTES,
        openapi_url="/openapi.json" if documented else None,
        telemetry=NOT_TRACED,
    )
    problems.install(app)
    _answer_database_failures(app)
    app.add_middleware(BodyLimit, limit=lambda scope: None if takes_upload(scope) else JSON_BYTES)
    app.add_middleware(CloseRefusedUploads)
    app.add_middleware(SpeaksTus)
    app.add_middleware(RequestLog)
    app.add_middleware(FastLane, api=app)
    let_pages_read(app, settings.origins, sent=SENT_BY_PAGES, read=READ_BY_PAGES)
    framework_document = app.openapi
    app.openapi = lambda: document_bytes(framework_document())  # type: ignore[method-assign]
    return app
