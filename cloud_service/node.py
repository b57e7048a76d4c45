"""Everything that lives as long as the node does, in one typed place."""

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from cloud_service.access.actions import Access
from cloud_service.access.rights import Rights
from cloud_service.access.viewers import Viewers
from cloud_service.db import Database
from cloud_service.feed import Feed
from cloud_service.outbox import Outbox
from cloud_service.settings import CloudSettings
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.store import VideoStore
from shared.peer import Peer


@dataclass(frozen=True)
class Node:
    settings: CloudSettings
    database: Database
    vps: Peer
    store: VideoStore
    catalogue: Catalogue
    rights: Rights
    viewers: Viewers
    feed: Feed
    access: Access
    outbox: Outbox
    probing: asyncio.Semaphore


async def current_node(request: Request) -> Node:
    node: Node = request.app.state.node
    return node


CurrentNode = Annotated[Node, Depends(current_node)]
