"""One viewer watching one video through signed links, and how long that lasts."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from cloud_service.access.models import Viewer
from cloud_service.playback.portions import Portion
from cloud_service.playback.watched import Run, Sent
from cloud_service.videos.models import StoredVideo
from shared.intervals import Stretch
from shared.playbacks import PlaybackEnd

State = Literal["live", "expired", "moved"]
NEVER = float("-inf")


class Lives(NamedTuple):
    """In seconds: until a playback's links are first used, between two uses, and in all."""

    open_within_s: float
    idle_s: float
    in_all_s: float


@dataclass(slots=True)
class Playback:
    """Times are in seconds of the machine's uptime. One that has `moved` made room for a later one of its viewer.

    With `has_original` it began before anything was made of the video, and can go on with what it began with.

    `began_unix`, `viewed_at` and `ended_unix` are in Unix seconds by the VPS's clock; it is a view once moving picture
    was sent. `answers` are under way. `sent` is what was so since `watched` and `run` were last brought up to date,
    `sent_bytes` how much of everything was about to be sent since the node started; once that is more than one viewer
    takes, it `is_used_up`.
    """

    id: str
    video_id: str
    viewer: Viewer
    began_at: float
    used_at: float | None = None
    has_original: bool = False
    has_moved: bool = False
    began_unix: float = 0.0
    viewed_at: float | None = None
    ended_unix: float | None = None
    end: PlaybackEnd | None = None
    sent: list[Sent] = field(default_factory=list)
    watched: list[Stretch] = field(default_factory=list)
    run: Run | None = None
    told_at: float = NEVER
    portion: Portion = field(default_factory=Portion)
    answers: int = 0
    sent_bytes: int = 0
    is_used_up: bool = False

    def unix(self, moment: float) -> float:
        """The same by the VPS's clock, as that was when it began."""
        return self.began_unix + moment - self.began_at

    def ended(self, end: PlaybackEnd, unix_s: float) -> None:
        """The first word holds."""
        if self.end is None:
            self.end, self.ended_unix = end, unix_s

    def state(self, now: float, lives: Lives) -> State:
        if self.has_moved:
            return "moved"
        if self.is_used_up or now - self.began_at >= lives.in_all_s:
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
    resume_at_s: float | None
