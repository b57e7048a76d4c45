"""How fast one user may begin playbacks: each is written down, told to the VPS, and kept there."""

FEW = 1000


class Pace:
    """`per_minute` in a row, and then as many a minute. Of a user one moment is kept: when they have rested."""

    def __init__(self, per_minute: int) -> None:
        self._every_s = 60 / per_minute
        self._rested_at: dict[str, float] = {}
        self._tidied_above = FEW

    def __len__(self) -> int:
        return len(self._rested_at)

    def wait_s(self, user_id: str, now: float) -> float:
        """0 when it is this user's turn, which takes it; else how long that is away. `now` by the machine's uptime."""
        rested_at = max(self._rested_at.get(user_id, now), now)
        wait_s = rested_at + self._every_s - 60 - now
        if wait_s > 0:
            return wait_s
        self._rested_at[user_id] = rested_at + self._every_s
        if len(self._rested_at) > self._tidied_above:
            self._forget_rested(now)
        return 0.0

    def _forget_rested(self, now: float) -> None:
        self._rested_at = {user_id: at for user_id, at in self._rested_at.items() if at > now}
        self._tidied_above = max(FEW, 2 * len(self._rested_at))
