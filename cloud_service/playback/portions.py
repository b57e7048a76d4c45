"""How much of a file is sent to somebody before it is asked again whether they may go on."""

LEAST_BYTES, FIRST_BYTES, MOST_BYTES = 2**16, 2**20, 2**22
QUICK_S = 0.3


class Portion:
    """Little to who takes it slowly, so that a right's end cuts them off as soon as others; to one viewer as they took
    the last.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = FIRST_BYTES

    def took(self, count: int, seconds: float) -> None:
        """To send the last. That little was sent at once says nothing."""
        if seconds >= QUICK_S:
            self.size = max(LEAST_BYTES, self.size // 4)
        elif count >= self.size:
            self.size = min(MOST_BYTES, self.size * 4)
