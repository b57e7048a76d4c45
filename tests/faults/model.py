"""What ought to be, kept beside the product by whoever uses it: who may watch what, and since when somebody may not.

The rule that everything is held against: never served later than the end of a right plus a bound (short while the node
hears of changes, the trust window while it cannot), and never refused what is paid for once the node can know.
"""

import time
from dataclasses import dataclass, field

import httpx

from tests.both.toptank import patience
from tests.faults.world import WATCHING_S

HEARS_WITHIN_S = 4.0
"""The promise is 2 s; half of this is for the machine that the tests run on."""
SLACK_S = 2.0


@dataclass
class Reach:
    """Whether the node hears from the VPS, and since when it does or does not. Times are monotonic."""

    link_is_up: bool = True
    vps_is_up: bool = True
    node_is_up: bool = True
    _since: float = field(default_factory=time.monotonic)
    _was: bool = True

    @property
    def is_whole(self) -> bool:
        return self.link_is_up and self.vps_is_up and self.node_is_up

    def changed(self) -> None:
        """To be called after any of the three has changed."""
        if self.is_whole != self._was:
            self._since, self._was = time.monotonic(), self.is_whole

    def served_until(self, ended_at: float) -> float:
        """Until when what ended then may be served at the latest."""
        hears_within_s = HEARS_WITHIN_S * min(patience(), 2)
        if self.is_whole:
            return max(ended_at, self._since) + hears_within_s
        return max(min(ended_at, self._since) + hears_within_s, self._since + WATCHING_S + SLACK_S)


@dataclass
class Right:
    """Somebody's claim to a video, with one token. `ended_at` is when its end was acknowledged, None while it holds."""

    ended_at: float | None = None

    def end(self) -> None:
        if self.ended_at is None:
            self.ended_at = time.monotonic()


def check_answer(right: Right, reach: Reach, asked_at: float, response: httpx.Response) -> None:
    """Whether the product may answer so, to a request that was sent at `asked_at`."""
    served, status = response.status_code in (200, 206), response.status_code
    if right.ended_at is not None:
        assert not served or asked_at <= reach.served_until(right.ended_at), "served what had ended"
        assert served or status in (401, 403, 404, 503), response.content
    else:
        assert served or status == 503, f"refused what is paid for: {response.content!r}"
