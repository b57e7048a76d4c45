"""What of a video was sent to one viewer, and about where in it they are."""

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Self

from shared.intervals import merged

MOST_SENT, KEPT_OF_A_FILE = 64, 12
"""Stretches of bytes of a playback in memory, and how many of each file stay when that is not enough."""
CLOSE_S = 1.0
PAUSE_S = 10.0
"""What is sent after longer than that is noted by itself, for its viewer may have paused."""
BEGINNING_S, END_S = 5.0, 10.0
"""So near to these nobody has to be taken back to where they were."""


@dataclass(slots=True)
class Sent:
    """Bytes `start` up to `stop` of a file, sent in a row from `first_at` to `last_at`, by the machine's uptime."""

    name: str
    start: int
    stop: int
    first_at: float
    last_at: float


def note_sent(sent: list[Sent], name: str, start: int, stop: int, now: float) -> None:
    """Add to what was sent before: of a player that goes on from where it was, this stays one entry, but for pauses."""
    if sent:
        last = sent[-1]
        if last.name == name and last.start <= start <= last.stop and now - last.last_at <= PAUSE_S:
            last.stop, last.last_at = max(last.stop, stop), now
            return
    if len(sent) >= MOST_SENT:
        sent[:] = _fewer(sent)
    sent.append(Sent(name, start, stop, now, now))


def _fewer(sent: list[Sent]) -> list[Sent]:
    """The same bytes and perhaps some between them, without the order in which they were sent."""
    of_file = defaultdict[str, list[tuple[float, float]]](list)
    for one in sent:
        of_file[one.name].append((one.start, one.stop))
    first_at, last_at = sent[0].first_at, sent[-1].last_at
    return [
        Sent(name, int(start), int(stop), first_at, last_at)
        for name, stretches in of_file.items()
        for start, stop in merged(stretches, KEPT_OF_A_FILE)
    ]


@dataclass(frozen=True, slots=True)
class Run:
    """What was sent since the viewer last moved to another place, in seconds of the video; times as those of `Sent`.

    Pauses do not count: `first_at` is later by as much. Of a file that was left to an edge in one request nobody knows
    how far it came, and its viewer stays at the beginning.
    """

    from_s: float
    to_s: float
    first_at: float
    last_at: float

    def position_s(self, now: float) -> float:
        """Where they are if they have watched ever since; players have more than they show."""
        return min(self.to_s, self.from_s + max(0.0, now - self.first_at))

    def then(self, later: Self) -> Self:
        """What is sent ahead of where they are is no seek, be it of another rendition; anything else is."""
        here = self._without_pause(later.first_at)
        if not here.position_s(later.first_at) - CLOSE_S <= later.from_s <= self.to_s + CLOSE_S:
            return later
        return type(self)(self.from_s, max(self.to_s, later.to_s), here.first_at, later.last_at)

    def _without_pause(self, now: float) -> Self:
        """Who needed nothing for longer than what they had lasts, stood still: players ask again when they go on."""
        quiet_s = now - self.last_at
        if quiet_s <= self.to_s - self.position_s(self.last_at) + CLOSE_S:
            return self
        return replace(self, first_at=self.first_at + quiet_s)
