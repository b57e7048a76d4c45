"""The VPS's yes to an upload: good until a change that ends it is heard of, also while the bytes are on their way."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal
from weakref import WeakSet

from cloud_service.access.models import Viewer
from cloud_service.access.sessions import ENDED
from shared.contract import Change, Position

SIGN_OUT = ("user_banned", "user_signed_out", "user_role_changed")
DEMOTED = "teacher_demoted"
Reason = Literal["signed_out", "demoted"]


class Permit:
    """`ended` says why it is good no more; whether one `in_doubt` still is, only the VPS knows.

    `to_teach`: what it allows, only verified teachers may.
    """

    def __init__(self, viewer: Viewer, as_of: Position, *, to_teach: bool) -> None:
        self._viewer, self._as_of, self._to_teach = viewer, as_of, to_teach
        self.ended: Reason | None = None
        self.in_doubt = False
        self._stop: Callable[[Reason], None] | None = None

    def is_good_for(self, viewer: Viewer) -> bool:
        """Whether this viewer, by this token, needs no other."""
        given_to, asking = [(one.id, one.generation, one.session_id) for one in (self._viewer, viewer)]
        return given_to == asking and self.ended is None and not self.in_doubt

    def is_since(self, position: Position) -> bool:
        """Whether nothing before that can have ended it."""
        return self._as_of.epoch == position.epoch and self._as_of.number >= position.number

    @contextmanager
    def stopping(self, stop: Callable[[Reason], None]) -> Iterator[None]:
        """Within the block `stop` is called as soon as it is good no more."""
        self._stop = stop
        try:
            if self.ended:
                stop(self.ended)
            yield
        finally:
            self._stop = None

    def end(self, reason: Reason) -> None:
        self.ended = self.ended or reason
        if self._stop:
            self._stop(self.ended)

    def is_ended_by(self, change: Change) -> Reason | None:
        """Why, unless what it says was known to who gave this: numbers of other epochs tell nothing of that."""
        if change.kind == ENDED:
            return "signed_out" if str(change.session_id) == self._viewer.session_id else None
        if str(change.user_id) != self._viewer.id or (not self.in_doubt and change.number <= self._as_of.number):
            return None
        if change.kind in SIGN_OUT:
            return "signed_out"
        return "demoted" if self._to_teach and change.kind == DEMOTED else None


class Permits:
    """Those that somebody holds."""

    def __init__(self) -> None:
        self._held: WeakSet[Permit] = WeakSet()

    def add(self, permit: Permit) -> None:
        self._held.add(permit)

    def hear(self, changes: Iterable[Change]) -> None:
        ending = [change for change in changes if change.kind in (*SIGN_OUT, DEMOTED, ENDED)]
        if not ending:
            return
        for permit in list(self._held):
            for change in ending:
                if reason := permit.is_ended_by(change):
                    permit.end(reason)

    def doubt_all(self, but_as_of: Position | None = None) -> None:
        """Those may be left out that were given no earlier than that."""
        for permit in self._held:
            permit.in_doubt = permit.in_doubt or but_as_of is None or not permit.is_since(but_as_of)
