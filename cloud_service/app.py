import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

from fastapi import FastAPI

from cloud_service import health
from cloud_service.access.actions import Access
from cloud_service.access.rights import Rights
from cloud_service.access.viewers import Viewers
from cloud_service.db import Database
from cloud_service.feed import Feed
from cloud_service.internal import routes as internal
from cloud_service.middleware import CloseRefusedUploads, FastLane, takes_upload
from cloud_service.node import Node
from cloud_service.outbox import Outbox
from cloud_service.playback.openapi import document_stream
from cloud_service.playback.stream import Stream
from cloud_service.settings import CloudSettings
from cloud_service.uploads import routes as uploads
from cloud_service.uploads.actions import forget_claims
from cloud_service.videos import routes as videos
from cloud_service.videos.actions import deleted_videos, remove_video
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.store import VideoStore
from shared import health as liveness
from shared import problems
from shared.contract import VPS, Change
from shared.logs import RequestLog
from shared.peer import Peer
from shared.schemas import CONVENTIONS
from shared.serving import BodyLimit
from shared.tokens import ServiceSigner, ServiceVerifier

log = logging.getLogger(__name__)

JSON_BYTES = 2**20
PROBES = 2


async def open_node(settings: CloudSettings) -> Node:
    """Everything loaded, and what a crash left over swept away, before the first request is taken."""
    database = await Database.open(settings.folder / "node.sqlite3")
    vps = Peer(VPS, settings.vps_internal_url, ServiceSigner(settings.node_id, settings.node_key))
    store = VideoStore(settings.folder / "media")
    catalogue = Catalogue(database)
    rights = Rights(database)
    viewers = Viewers(database, vps)
    await catalogue.load()
    await rights.load()
    await viewers.load()
    await forget_claims(database)
    if swept := store.sweep(catalogue):
        log.warning("leftovers removed", extra={"ids": swept})

    async def unwanted(video_id: str) -> None:
        if video := catalogue.find(video_id):
            await remove_video(catalogue, store, video)

    async def deleted(change: Change) -> None:
        for video in deleted_videos(catalogue, change):
            await remove_video(catalogue, store, video)

    feed = Feed(database, rights, vps, deleted)
    await feed.load()
    access = Access(rights, feed, vps, settings.trust_watching_s)
    outbox = Outbox(database, vps, unwanted)
    return Node(
        settings, database, vps, store, catalogue, rights, viewers, feed, access, outbox, asyncio.Semaphore(PROBES)
    )


@asynccontextmanager
async def running(*jobs: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """The jobs run as long as the block does."""
    tasks = [asyncio.ensure_future(job) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task


def create_app(settings: CloudSettings) -> FastAPI:
    """A node; everything long-lived is on `app.state`."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        node = await open_node(settings)
        app.state.node = node
        app.state.stream = Stream(node.viewers, node.catalogue, node.access, node.store)
        try:
            async with running(node.feed.run(), node.outbox.run()):
                yield
        finally:
            await node.vps.close()
            await node.database.close()

    documented = settings.environment != "production"
    app = FastAPI(
        title="TopTank Cloud",
        version="1",
        summary="A video node: uploads and streaming.",
        lifespan=lifespan,
        redirect_slashes=False,
        description=CONVENTIONS,
        generate_unique_id_function=lambda route: route.name,
        openapi_url="/openapi.json" if documented else None,
    )
    app.state.service_verifier = ServiceVerifier(settings.node_id, {VPS: settings.vps_public_key})
    problems.install(app)
    app.add_middleware(BodyLimit, limit=JSON_BYTES, streams=takes_upload)
    app.add_middleware(CloseRefusedUploads)
    app.add_middleware(RequestLog)
    app.add_middleware(FastLane, api=app)
    for feature in (uploads, videos, internal, health):
        app.include_router(feature.router)
    app.include_router(liveness.router)
    framework_document = app.openapi
    app.openapi = lambda: document_stream(framework_document())  # type: ignore[method-assign]
    return app
