"""Everything that lives as long as the node's database does, in one typed place."""

import asyncio
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from cloud_service.access.actions import Access
from cloud_service.access.published import Published
from cloud_service.access.rights import Rights
from cloud_service.access.viewers import Viewers
from cloud_service.at_once import AtOncePerUser
from cloud_service.clock import VpsClock
from cloud_service.db import Database
from cloud_service.feed import Feed
from cloud_service.freshness import Freshness
from cloud_service.outbox import Outbox
from cloud_service.playback.pace import Pace
from cloud_service.playback.playbacks import Playbacks
from cloud_service.playback.secrets import PlaybackSecrets
from cloud_service.processing.news import News
from cloud_service.reconcile import Reconciler
from cloud_service.reports import Reports
from cloud_service.settings import CloudSettings
from cloud_service.uploads.idempotency import IdempotencyKeys
from cloud_service.uploads.probing import Probing
from cloud_service.uploads.space import Space
from cloud_service.uploads.tus.living import ResumableUploads
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.store import VideoStore
from cloud_service.vps import Vps
from shared.problems import Unavailable


class DatabaseUnusable(Unavailable):
    code, title = "database_unusable", "The node's database does not answer"


@dataclass(frozen=True)
class Node:
    settings: CloudSettings
    database: Database
    clock: VpsClock
    vps: Vps
    store: VideoStore
    catalogue: Catalogue
    rights: Rights
    viewers: Viewers
    freshness: Freshness
    feed: Feed
    access: Access
    published: Published
    outbox: Outbox
    news: News
    reconciler: Reconciler
    reports: Reports
    uploading: AtOncePerUser
    answering: AtOncePerUser
    """By tokens; what links are sent, each playback counts."""
    probing: Probing
    playbacks: Playbacks
    playback_secrets: PlaybackSecrets
    pace: Pace
    reading_captions: asyncio.Semaphore
    admitting: asyncio.Semaphore
    space: Space
    resumable: ResumableUploads
    keys: IdempotencyKeys
    claims: set[str] = field(default_factory=set)
    """The uploads whose claim to a place holds right now; the rows of others are leftovers."""


async def current_node(request: Request) -> Node:
    """Raises DatabaseUnusable while the node makes itself a new database."""
    node: Node | None = request.app.state.node
    if node is None:
        raise DatabaseUnusable(retry_after_s=1)
    return node


CurrentNode = Annotated[Node, Depends(current_node)]
