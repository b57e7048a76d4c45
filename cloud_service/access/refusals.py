"""Refusals, for a moment: who asks again and again is not the VPS's burden, and who has just paid is let in."""

from collections.abc import Iterable
from dataclasses import dataclass

from cloud_service.access.models import Scope
from cloud_service.clock import uptime
from shared.contract import AccessAnswer

KEPT_S = 2.0
MOST = 20_000


@dataclass(frozen=True, slots=True)
class Refusal:
    scope: Scope
    answer: AccessAnswer
    until: float


class Refusals:
    def __init__(self) -> None:
        self._refusals: dict[tuple[str, int, str], Refusal] = {}

    def get(self, user_id: str, generation: int, video_id: str, *, after: int) -> AccessAnswer | None:
        """A refusal that still holds, unless it is older than change `after`, of which the asker knows."""
        refusal = self._refusals.get((user_id, generation, video_id))
        if refusal is None or refusal.until < uptime() or refusal.answer.as_of.number < after:
            return None
        return refusal.answer

    def add(self, scope: Scope, generation: int, answer: AccessAnswer) -> None:
        if len(self._refusals) >= MOST:
            self._refusals.clear()
        place = scope.user_id, generation, scope.video_id
        self._refusals[place] = Refusal(scope, answer, uptime() + KEPT_S)

    def forget(self, scopes: Iterable[Scope]) -> None:
        """Whatever a change is about has to be asked anew."""
        if self._refusals:
            changed = list(scopes)
            self._refusals = {
                place: refusal
                for place, refusal in self._refusals.items()
                if not any(scope.covers(refusal.scope) for scope in changed)
            }
