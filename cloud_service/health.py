import sqlite3
from typing import Literal

from fastapi import APIRouter

from cloud_service.node import CurrentNode, DatabaseUnusable
from shared.problems import responses
from shared.schemas import Out

router = APIRouter(prefix="/health", tags=["service"])


class NodeHealth(Out):
    """`feed_lag` in changes; `trust_age_s` is how old what the node knows of rights is, null before the first pull."""

    status: Literal["ok"] = "ok"
    feed_lag: int
    trust_age_s: float | None
    outbox_depth: int
    outbox_age_s: float
    outbox_set_aside: int


@router.get("/ready", summary="Can it answer requests?", responses=responses(DatabaseUnusable))
async def ready(node: CurrentNode) -> NodeHealth:
    """A node whose VPS is away is ready: it goes on serving what it knows, for as long as that may be trusted."""
    try:
        backlog = await node.outbox.backlog()
    except sqlite3.Error:
        raise DatabaseUnusable from None
    return NodeHealth(
        feed_lag=node.feed.lag,
        trust_age_s=node.freshness.known_age_s(),
        outbox_depth=backlog.depth,
        outbox_age_s=round(backlog.age_s, 1),
        outbox_set_aside=backlog.set_aside,
    )
