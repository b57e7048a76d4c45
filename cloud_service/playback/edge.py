"""What is left to an edge, a proxy before the node, which sends files without their bytes coming through here.

The node decides everything: who may have it, whether a condition holds, which bytes were asked for. An edge is told of
what it cannot get wrong, a whole file or the one range of a plain Range; it may look at the request's conditions again,
or drop them.
"""

import logging
import re
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

from cloud_service.playback.conditions import Validators
from cloud_service.settings import CloudSettings
from shared.problems import InternalError

log = logging.getLogger(__name__)

EDGE_BYTES = 4 * 2**20
"""Of an answer at most: a longer one has to end soon after the right to it does, and only the node knows when."""
PREFIX = "/media"
_PLAIN_RANGE = re.compile(rb"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
"""Of which every server makes the same."""


class Edge:
    """`media` is the folder that the edge knows as PREFIX."""

    def __init__(self, media: Path) -> None:
        self._media = str(media.absolute())

    def address_of(self, path: str) -> bytes:
        """For X-Accel-Redirect. Raises InternalError for what does not lie in the folder."""
        return _address(self._media, path)


@lru_cache(maxsize=4096)
def _address(media: str, path: str) -> bytes:
    below = path.removeprefix(media)
    if below == path or not below.startswith("/") or ".." in below.split("/"):
        log.error("a file is not below the media folder", extra={"file": path})
        raise InternalError
    return f"{PREFIX}{quote(below)}".encode()


def edge_of(settings: CloudSettings) -> Edge | None:
    """None where the node sends everything itself."""
    return Edge(settings.media) if settings.edge_sends else None


def is_plain(headers: Iterable[tuple[bytes, bytes]], now: Validators, *, is_part: bool) -> bool:
    """Whether an edge is sure to send the very bytes that the node would: those of a part, or all.

    A header that is there twice may be read in either way, and dates in many.
    """
    ranges = [value for name, value in headers if name == b"range"]
    if not ranges:
        return True
    if_ranges = [value for name, value in headers if name == b"if-range"]
    holds = if_ranges in ([], [now.etag], [now.last_modified])
    return is_part and holds and len(ranges) == 1 and _PLAIN_RANGE.fullmatch(ranges[0]) is not None
