"""When a node looks into uploads, and when it gives up on a file that it learns nothing of."""

from collections import OrderedDict
from pathlib import Path

from cloud_service.media.asking import Asking
from cloud_service.uploads.errors import NotAVideo, NotInspected
from cloud_service.uploads.fairness import FairTurns
from cloud_service.uploads.probe import NoVideo, Probed, Wordless, probe

AT_ONCE = 2
WAIT_S = 60.0
"""For a turn; then the client is better told to come back."""
WORDLESS_TIMES = 3
"""After so many uploads of the same bytes of which the inspector said nothing, it is the file's fault."""
REMEMBERED = 1000


class Probing:
    def __init__(self, wait_s: float = WAIT_S) -> None:
        self._turns, self._wait_s = FairTurns(AT_ONCE), wait_s
        self._inspector = Asking("cloud_service.uploads.inspection")
        self._wordless: OrderedDict[str, int] = OrderedDict()
        """How often, by SHA-256; the oldest are forgotten."""

    async def run(self) -> None:
        """As long as it does, who looks into a file that was foreseen need not be waited for."""
        await self._inspector.run()

    def foresee(self) -> None:
        """A file begins to arrive."""
        self._inspector.foresee()

    async def look_into(self, path: Path, sha256: str, owner_id: str) -> Probed:
        """Raises NotAVideo, NotInspected, CannotConfine."""
        try:
            async with self._turns.next(owner_id, self._wait_s):
                return await self._look_into(path, sha256)
        except TimeoutError:
            raise NotInspected("Too many files are waiting.", retry_after_s=30) from None

    async def _look_into(self, path: Path, sha256: str) -> Probed:
        try:
            found = await probe(path, self._inspector)
        except NoVideo as error:
            raise NotAVideo(str(error)) from None
        except Wordless as error:
            times = self._wordless.pop(sha256, 0) + 1
            if times >= WORDLESS_TIMES:
                raise NotAVideo(str(error)) from None
            self._wordless[sha256] = times
            if len(self._wordless) > REMEMBERED:
                self._wordless.popitem(last=False)
            raise NotInspected from None
        self._wordless.pop(sha256, None)
        return found
