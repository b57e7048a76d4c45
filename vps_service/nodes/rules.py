"""Which nodes can be relied on, and which one takes a new upload."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from vps_service.nodes.models import Node

SILENT_AFTER = timedelta(seconds=20)
ROOM_BYTES = 2**30
"""A node with less space than this is full."""


def is_silent(node: Node, now: datetime) -> bool:
    """Nodes report every few seconds."""
    return node.seen_at is None or now - node.seen_at > SILENT_AFTER


def state(node: Node, now: datetime, *, is_admitted: bool) -> str:
    if not is_admitted:
        return "removed"
    return "silent" if is_silent(node, now) else "up"


def takes_uploads(node: Node, now: datetime) -> bool:
    return node.url is not None and not is_silent(node, now) and node.report.get("bytes_free", 0) >= ROOM_BYTES


def choose(nodes: Iterable[Node], held: Mapping[str, int], now: datetime) -> Node | None:
    """The node for a course's next video: where most of its videos are, else where most space is."""
    able = [node for node in nodes if takes_uploads(node, now)]
    return max(able, key=lambda node: (held.get(node.id, 0), node.report["bytes_free"]), default=None)
