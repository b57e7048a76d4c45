"""What an original is: asked of it before anything is made from it, in a confined process with limits of its own."""

import asyncio
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

from cloud_service.media.asking import Asking
from cloud_service.media.confined import FAILED
from cloud_service.processing.failures import MachineFails

TIMEOUT_S = 180
OUT_OF_MEMORY = 125
"""The code of an inspection that got no memory: that is no word about the file."""
SEGMENT_S = 4
USUAL_RATES = (*map(Fraction, (10, 12, 15, 20, 24, 25, 30, 48, 50, 60)),)
NTSC_RATES = (*(Fraction(rate * 1000, 1001) for rate in (24, 30, 60)),)

Colours = Literal["said", "unsaid", "rgb", "hlg", "pq"]
"""Whether the picture says how its colours are coded; red, green and blue need no saying. The last two reach higher
than ordinary screens (ITU-R BT.2100), and have to be brought down to what these show."""


class CannotProcess(Exception):
    """Trying again would not help; the message says why, for a teacher to read."""


class InspectionFailed(Exception):
    """It was killed, or not done in time: perhaps because of the file, perhaps not. Its text is for a teacher."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Picture:
    """The video stream. `width` and `height` are as displayed: turned upright, pixels square.

    `frame_rate` is what to make it at, at most 60 a second. `as_it_is` says that players take the stream as it is
    if its size and bitrate (bits per second) suit. `starts_s` and `ends_s` count from the file's first moment,
    `keyframes_within_s` is the longest time without one. `turned` ones lie on their side in the file.
    """

    index: int
    codec: str
    width: int
    height: int
    frame_rate: Fraction
    bitrate: int
    starts_s: float
    ends_s: float
    keyframes_within_s: float
    turned: bool
    interlaced: bool
    colours: Colours
    as_it_is: bool


@dataclass(frozen=True, slots=True)
class Sound:
    """The audio stream that is heard first."""

    index: int
    codec: str
    channels: int
    sample_rate: int
    starts_s: float
    ends_s: float
    as_it_is: bool


@dataclass(frozen=True, slots=True)
class Source:
    """`plays` says whether browsers play it as it is."""

    media_type: str
    picture: Picture
    sound: Sound | None
    plays: bool = False

    @property
    def duration_s(self) -> float:
        return max(self.picture.ends_s, self.sound.ends_s if self.sound else 0)

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Source":
        picture = found["picture"] | {"frame_rate": Fraction(found["picture"]["frame_rate"])}
        sound = Sound(**found["sound"]) if found["sound"] else None
        return cls(found["media_type"], Picture(**picture), sound, found["plays"])


async def inspect(original: Path, media_type: str) -> Source:
    """`media_type` is what its first bytes said. Raises CannotProcess, InspectionFailed, MachineFails, OSError."""
    if not await asyncio.to_thread(original.exists):
        raise CannotProcess("The file is not there any more.")
    try:
        answer = await Asking("cloud_service.processing.inspection").ask(media_type, str(original), within_s=TIMEOUT_S)
    except TimeoutError:
        raise InspectionFailed("The video takes too long to read.") from None
    if answer.code == FAILED:
        raise MachineFails(f"an inspection was {answer.said[-2000:]}")
    if answer.code == OUT_OF_MEMORY:
        raise InspectionFailed("The video takes too much memory to read.", answer.said[-2000:])
    if answer.code != 0:
        raise InspectionFailed("The video could not be looked into.", f"code {answer.code}\n{answer.said[-2000:]}")
    found = json.loads(answer.output)
    if reason := found.get("reason"):
        raise CannotProcess(reason)
    return Source.from_json(found)
