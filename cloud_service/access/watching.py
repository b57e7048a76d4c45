"""Who is watching what: they may go on for longer than others may start, while the VPS is out of reach."""

IDLE_S = 3600.0
"""After a pause of an hour, going on is starting anew."""
MOST = 100_000


class Watching:
    def __init__(self) -> None:
        self._since: dict[tuple[str, str], float] = {}

    def goes_on(self, user_id: str, video_id: str, now: float) -> None:
        """`now` by the machine's uptime."""
        if len(self._since) >= MOST:
            self._forget_idle(now)
        self._since[user_id, video_id] = now

    def includes(self, user_id: str, video_id: str, now: float) -> bool:
        return now - self._since.get((user_id, video_id), float("-inf")) <= IDLE_S

    def _forget_idle(self, now: float) -> None:
        """The idle ones, or else the older half."""
        oldest = sorted(self._since.values())[MOST // 2]
        limit = max(now - IDLE_S, oldest)
        self._since = {place: at for place, at in self._since.items() if at > limit}
