"""Refusals, for a moment: who asks again and again is not the VPS's burden."""

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
    """In the order they came, so that those whose moment is over are the first."""

    def __init__(self) -> None:
        self._refusals: dict[tuple[str, int, str], Refusal] = {}

    def __len__(self) -> int:
        return len(self._refusals)

    def get(self, user_id: str, generation: int, video_id: str) -> Refusal | None:
        refusal = self._refusals.get((user_id, generation, video_id))
        return refusal if refusal and refusal.until >= uptime() else None

    def add(self, scope: Scope, generation: int, answer: AccessAnswer) -> None:
        now = uptime()
        while self._refusals and (self._oldest().until < now or len(self._refusals) >= MOST):
            del self._refusals[next(iter(self._refusals))]
        place = scope.user_id, generation, scope.video_id
        self._refusals.pop(place, None)
        self._refusals[place] = Refusal(scope, answer, now + KEPT_S)

    def clear(self) -> None:
        self._refusals.clear()

    def _oldest(self) -> Refusal:
        return next(iter(self._refusals.values()))
