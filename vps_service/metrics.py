"""`GET /metrics`: the state of the feed and of the nodes, in Prometheus' text format. Not for the public's eyes."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest

from vps_service import changes
from vps_service.db import Session
from vps_service.mail import queries as mail
from vps_service.nodes import queries
from vps_service.nodes.models import Node

router = APIRouter(tags=["service"])

head = Gauge("toptank_feed_head", "Number of the newest change of a right")
mails = Gauge("toptank_mails_waiting", "Mails that are still to be sent")
mails_age = Gauge("toptank_mails_waiting_seconds", "Since the oldest of them was written")
seen = Gauge("toptank_node_seen_seconds", "Since the node was last heard of", ["node"])
lag = Gauge("toptank_node_feed_lag", "Changes that the node had not applied when it last reported", ["node"])
REPORTED = {
    "trust_age_s": Gauge("toptank_node_trust_age_seconds", "Age of what the node knows of rights", ["node"]),
    "outbox_depth": Gauge("toptank_node_outbox_depth", "Events that the node has still to send", ["node"]),
    "outbox_age_s": Gauge("toptank_node_outbox_age_seconds", "Age of the oldest of them", ["node"]),
    "outbox_set_aside": Gauge("toptank_node_outbox_set_aside", "Events that nobody could understand", ["node"]),
    "clock_skew_s": Gauge("toptank_node_clock_skew_seconds", "How far the node's clock is ahead of ours", ["node"]),
    "bytes_free": Gauge("toptank_node_free_bytes", "Space left on the node", ["node"]),
}


def _show(node: Node, newest: int, now: datetime) -> None:
    if node.seen_at is None:
        return
    seen.labels(node.id).set((now - node.seen_at).total_seconds())
    if (position := node.report.get("feed_position")) is not None:
        lag.labels(node.id).set(max(0, newest - position))
    for name, gauge in REPORTED.items():
        if (value := node.report.get(name)) is not None:
            gauge.labels(node.id).set(value)


@router.get("/metrics", summary="Figures for Prometheus", response_class=Response)
async def show_metrics(session: Session) -> Response:
    newest = (await changes.position(session)).number
    head.set(newest)
    waiting = await mail.waiting(session)
    mails.set(waiting.mails)
    mails_age.set(waiting.oldest_s)
    for node in await queries.nodes(session):
        _show(node, newest, datetime.now(UTC))
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
