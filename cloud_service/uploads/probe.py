"""Look into an uploaded file: is there a video that can be decoded, how long, how large?

A decoder may have faults and the file may be made to find them, so this is done in a process of its own, bounded in
time, processor and memory, which can open this one file and no socket: cloud_service.uploads.inspection.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from cloud_service.processing.asking import ask
from cloud_service.processing.confined import FAILED, CannotConfine

TIMEOUT_S = 20


class NoVideo(Exception):
    """Not a video; the message says why, for a teacher to read."""


@dataclass(frozen=True)
class Probed:
    """`plays` says whether browsers play the file as it is; a `duration_s` of 0 that nobody knows how long it lasts."""

    duration_s: float
    width: int
    height: int
    plays: bool


async def probe(path: Path) -> Probed:
    """Raises NoVideo, and CannotConfine where this machine cannot look into files safely."""
    try:
        answer = await ask("cloud_service.uploads.inspection", str(path), within_s=TIMEOUT_S)
    except TimeoutError:
        raise NoVideo("The file takes too long to open.") from None
    if answer.code == FAILED:
        raise CannotConfine(answer.said.strip())
    if answer.code != 0:
        raise NoVideo("The file cannot be opened as a video.")
    found = json.loads(answer.output)
    if reason := found.get("reason"):
        raise NoVideo(reason)
    return Probed(**found)
