"""Which sessions have ended: a token of one is refused here, though nobody can tell that from the token itself."""

from collections.abc import Iterable
from math import isfinite

from cloud_service.clock import read_back, uptime, written_down
from cloud_service.db import Transaction
from shared.contract import Change
from shared.tokens import ACCESS_LIFE_AT_MOST_S, CLOCK_LEEWAY_S

ENDED = "session_ended"
DOUBTED_SINCE = "sessions_doubted_since"
KEPT_S = ACCESS_LIFE_AT_MOST_S + 60 * CLOCK_LEEWAY_S
"""Longer than any token lives that was signed before its session ended."""


def ended_by(changes: Iterable[Change]) -> list[str]:
    """The sessions that end with these."""
    return [str(change.session_id) for change in changes if change.kind == ENDED and change.session_id]


class Sessions:
    """In memory, and in SQLite as far as changes told it.

    After a reset nobody here knows what ended: then each session is asked about once, with the first question to the
    VPS on its behalf, before what is remembered of its user is good for it; a start changes nothing about that. `''` is
    that of a token without one.
    """

    def __init__(self) -> None:
        self._ended: set[str] = set()
        self._confirmed: set[str] = set()
        self._unwritten: set[str] = set()
        """Of the confirmed ones those that are so in memory only."""
        self._doubted_until: float | None = None

    def load(self, ended: Iterable[str], confirmed: Iterable[str], doubted_since: str | None) -> None:
        """As they were left. When it is not known how long they have been doubted, they are from now on."""
        self._ended, self._confirmed = set(ended), set(confirmed)
        if doubted_since:
            since = read_back(doubted_since)
            self._doubted_until = (since if isfinite(since) else uptime()) + KEPT_S

    def have_ended(self, session_id: str) -> bool:
        return session_id in self._ended

    def end(self, session_ids: Iterable[str]) -> None:
        self._ended.update(one for one in session_ids if one)

    def doubts(self, session_id: str) -> bool:
        """Whether the VPS has to be asked."""
        if self._doubted_until is None or not session_id or session_id in self._confirmed:
            return False
        return uptime() < self._doubted_until

    def confirm(self, session_id: str) -> None:
        """The VPS let somebody in who came with it."""
        if self.doubts(session_id):
            self._confirmed.add(session_id)
            self._unwritten.add(session_id)

    def doubt_all(self) -> None:
        self._ended, self._confirmed, self._unwritten = set(), set(), set()
        self._doubted_until = uptime() + KEPT_S

    async def doubt_in(self, transaction: Transaction) -> None:
        """For a node that starts later, what `doubt_all` is for this one."""
        remembered = "INSERT OR REPLACE INTO remembered (name, value) VALUES (?, ?)"
        await transaction.execute(remembered, (DOUBTED_SINCE, written_down(uptime())))

    async def confirm_in(self, transaction: Transaction) -> None:
        """Those that were confirmed since the last time."""
        written = tuple(self._unwritten)
        if not written:
            return
        values = [(one,) for one in written]
        await transaction.execute_many("INSERT OR IGNORE INTO confirmed_sessions (id) VALUES (?)", values)
        transaction.on_commit(lambda: self._unwritten.difference_update(written))

    async def end_in(self, transaction: Transaction, session_ids: Iterable[str]) -> None:
        """And forget those of which every token has expired."""
        values = [(one,) for one in session_ids]
        if not values:
            return
        await transaction.execute_many(
            "INSERT OR IGNORE INTO ended_sessions (id, ended_at) VALUES (?, unixepoch())", values
        )
        old = await transaction.fetch(
            "DELETE FROM ended_sessions WHERE ended_at < unixepoch() - ? RETURNING id", (KEPT_S,)
        )
        gone = {row["id"] for row in old}
        transaction.on_commit(lambda: self._ended.difference_update(gone))
