"""How old what the node knows of rights is: since its last good pull, on a clock that nobody can set."""

from math import isfinite

from cloud_service.clock import read_back, uptime, written_down
from cloud_service.db import Database

PULLED_AT = "feed_pulled_at"


class Freshness:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._pulled_at = uptime()
        self.was_pulled = False

    async def load(self) -> None:
        """Go on being as old as before the restart: starting anew is no news of what has changed."""
        rows = await self._database.fetch("SELECT value FROM remembered WHERE name = ?", (PULLED_AT,))
        if rows:
            self._pulled_at, self.was_pulled = read_back(rows[0]["value"]), True

    def age_s(self, now: float | None = None) -> float:
        """Seconds since this node knew that it was up to date; since its start, if it never did."""
        return (uptime() if now is None else now) - self._pulled_at

    def known_age_s(self) -> float | None:
        """The same for people to read; None when the node never was up to date, or nobody knows when."""
        age_s = self.age_s()
        return round(age_s, 3) if self.was_pulled and isfinite(age_s) else None

    async def renew(self, since: float) -> None:
        """Up to date as of `since`, by `uptime`."""
        self._pulled_at, self.was_pulled = since, True
        async with self._database.transaction() as transaction:
            await transaction.execute(
                "INSERT OR REPLACE INTO remembered (name, value) VALUES (?, ?)", (PULLED_AT, written_down(since))
            )
