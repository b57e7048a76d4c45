"""How many of one thing a user may have under way at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shared.problems import AppError


class AtOncePerUser:
    def __init__(self, most: int, refusal: Callable[[], AppError]) -> None:
        self._most, self._refusal = most, refusal
        self._under_way: dict[str, int] = {}
        """By users who have any."""

    @contextmanager
    def one_more(self, user_id: str) -> Iterator[None]:
        """Within the block it is under way. Raises the refusal."""
        if self._under_way.get(user_id, 0) >= self._most:
            raise self._refusal()
        self._under_way[user_id] = self._under_way.get(user_id, 0) + 1
        try:
            yield
        finally:
            self._under_way[user_id] -= 1
            if not self._under_way[user_id]:
                del self._under_way[user_id]
