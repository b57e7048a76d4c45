"""Telling the VPS of playbacks, in the transaction that writes down the same."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager

from cloud_service.clock import uptime
from cloud_service.db import Database, Transaction
from cloud_service.outbox import announce_playbacks
from cloud_service.playback.models import NEVER, Lives, Playback
from cloud_service.playback.rows import told_of


class Telling:
    """`wake` sends it, and news that can wait are told `every_s`."""

    def __init__(self, database: Database, lives: Lives, wake: Callable[[], None], every_s: float) -> None:
        self._database, self._lives, self._wake, self.every_s = database, lives, wake, every_s
        self._untold: set[str] = set()

    def has_news(self, playbacks: Iterable[Playback]) -> None:
        """To be told when it is time."""
        self._untold |= {one.id for one in playbacks}

    def is_told(self, playback: Playback) -> bool:
        return playback.id not in self._untold

    def due(self, playbacks: Mapping[str, Playback]) -> list[Playback]:
        """Of these, the ones of which there are news, and nothing was told for a while."""
        self._untold &= playbacks.keys()
        since = uptime() - self.every_s
        return [playbacks[one] for one in self._untold if playbacks[one].told_at <= since]

    @asynccontextmanager
    async def transaction(self, playbacks: Sequence[Playback]) -> AsyncIterator[Transaction]:
        """The VPS is told of these with whatever else is written; if it fails, they are told with a later one."""
        try:
            async with self._database.transaction() as transaction:
                yield transaction
                for one in playbacks:
                    self._untold.discard(one.id)
                    one.told_at = uptime()
                if playbacks:
                    await announce_playbacks(transaction, [told_of(one, self._lives) for one in playbacks])
                    transaction.on_commit(self._wake)
        except BaseException:
            self.has_news(playbacks)
            for one in playbacks:
                one.told_at = NEVER
            raise
