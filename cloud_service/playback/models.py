"""One viewer watching one video through signed links, and how long that lasts."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from cloud_service.access.models import Viewer
from cloud_service.videos.models import StoredVideo

State = Literal["live", "expired", "moved"]


class Lives(NamedTuple):
    """In seconds: until a playback's links are first used, between two uses, and in all."""

    open_within_s: float
    idle_s: float
    in_all_s: float


@dataclass(slots=True)
class Playback:
    """Times are in seconds of the machine's uptime. One that has `moved` made room for a later one of its viewer.

    With `has_original` it began before anything was made of the video, and can go on with what it began with.
    """

    id: str
    video_id: str
    viewer: Viewer
    began_at: float
    used_at: float | None = None
    has_original: bool = False
    has_moved: bool = False

    def state(self, now: float, lives: Lives) -> State:
        if self.has_moved:
            return "moved"
        if now - self.began_at >= lives.in_all_s:
            return "expired"
        if self.used_at is None:
            return "live" if now - self.began_at < lives.open_within_s else "expired"
        return "live" if now - self.used_at < lives.idle_s else "expired"


@dataclass(frozen=True, slots=True)
class Watching:
    """`names` are those that links may lead to, `ends_at` in Unix seconds."""

    playback: Playback
    video: StoredVideo
    token: str
    names: frozenset[str]
    languages: tuple[str, ...]
    ends_at: int
