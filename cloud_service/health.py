import sqlite3

from fastapi import APIRouter

from cloud_service.node import CurrentNode
from shared.health import Health
from shared.problems import Unavailable, responses

router = APIRouter(prefix="/health", tags=["service"])


class DatabaseUnusable(Unavailable):
    code, title = "database_unusable", "The node's database does not answer"


@router.get("/ready", summary="Can it answer requests?", responses=responses(DatabaseUnusable))
async def ready(node: CurrentNode) -> Health:
    """A node whose VPS is away is ready: it goes on serving what it knows."""
    try:
        await node.outbox.depth()
    except sqlite3.Error:
        raise DatabaseUnusable from None
    return Health()
