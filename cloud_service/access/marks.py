"""Which rights changed lately, and by which change: an answer that was on its way meanwhile is older than that."""

from collections.abc import Iterable
from itertools import product

from cloud_service.access.models import ANY, EVERYTHING, Scope
from cloud_service.clock import uptime

KEPT_S = 60
"""Answers are waited for two seconds only; one that survives the process that asked there is not."""


class Marks:
    """In two halves, so that the older one can be forgotten as a whole."""

    def __init__(self) -> None:
        self._recent: dict[Scope, int] = {}
        self._older: dict[Scope, int] = {}
        self._since = uptime()

    def mark(self, scopes: Iterable[tuple[Scope, int]]) -> None:
        if uptime() - self._since > KEPT_S:
            self._recent, self._older, self._since = {}, self._recent, uptime()
        for scope, version in scopes:
            self._recent[scope] = max(version, self._recent.get(scope, 0))

    def mark_everything(self, version: int) -> None:
        """Of another epoch, whose numbers begin anew."""
        self._recent, self._older, self._since = {EVERYTHING: version}, {}, uptime()

    def at(self, user_id: str, course_ids: Iterable[str], video_id: str) -> int:
        """The newest change about such a right, 0 when there was none."""
        scopes = map(Scope._make, product({ANY, user_id}, {ANY, *course_ids}, {ANY, video_id}))
        return max(max(self._recent.get(scope, 0), self._older.get(scope, 0)) for scope in scopes)
