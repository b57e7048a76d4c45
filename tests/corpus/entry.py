"""What an entry of the corpus is: how it is made, and how its upload must end."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.clips import Clips
from tests.corpus.trap import Trap

NO_CONTAINER = "does not begin as"
DAMAGED = "damaged, cut short, or not a video"
TOO_MUCH_MEMORY = "takes too much memory"
CUT_SHORT = "cut short: its end is missing"
NO_STREAM = "no video stream"
TOO_LONG = "longer than the 12 hours"
NO_PICTURE = "no picture that can be decoded"


@dataclass(frozen=True)
class Hostile:
    """`reason` is a part of what its teacher is told, or "" when it is taken."""

    name: str
    make: Callable[[Clips, Trap], bytes]
    reason: str


class Entries(list[Hostile]):
    """Entries are functions, told by their decorator how the upload must end."""

    def refused(self, reason: str) -> Callable[[Callable[[Clips, Trap], bytes]], Callable[[Clips, Trap], bytes]]:
        def add(make: Callable[[Clips, Trap], bytes]) -> Callable[[Clips, Trap], bytes]:
            self.add(make.__name__, make, reason)
            return make

        return add

    def taken(self, make: Callable[[Clips, Trap], bytes]) -> Callable[[Clips, Trap], bytes]:
        self.add(make.__name__, make)
        return make

    def add(self, name: str, make: Callable[[Clips, Trap], bytes], reason: str = "") -> None:
        self.append(Hostile(name.replace("_", "-"), make, reason))
