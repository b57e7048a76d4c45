"""Whose time counts: the VPS's for tokens, and for ages the machine's own count of seconds, which nobody can set."""

import json
import logging
import time
from pathlib import Path

log = logging.getLogger(__name__)

NOTABLE_SKEW_S = 5.0
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def uptime() -> float:
    """Seconds since the machine started, its sleep included (clock_gettime(2), CLOCK_BOOTTIME)."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot() -> str:
    """Which start of the machine `uptime` counts from."""
    return BOOT_ID.read_text().strip()


def written_down(moment: float) -> str:
    """A moment by `uptime`, as a process that starts later can read it."""
    return json.dumps({"boot": boot(), "uptime": moment, "unix": time.time() - (uptime() - moment)})


def read_back(written: str) -> float:
    """When that was, by this boot's count. After a reboot only the wall clock tells; if it went back, none: -inf."""
    moment = json.loads(written)
    if moment["boot"] == boot():
        return float(moment["uptime"])
    age = time.time() - moment["unix"]
    return float(uptime() - age) if age >= 0 else float("-inf")


class VpsClock:
    """The VPS's clock as its last signed answer told it; until there was one, this machine's own."""

    def __init__(self) -> None:
        self._ahead: float | None = None
        self._warned = False

    def now(self) -> float:
        """Unix seconds."""
        return time.time() if self._ahead is None else uptime() + self._ahead

    def told(self, unix_s: int) -> None:
        """The VPS's time just now, in whole seconds cut off."""
        self._ahead = unix_s + 0.5 - uptime()
        skew = self.skew_s()
        if skew is not None and abs(skew) > NOTABLE_SKEW_S:
            if not self._warned:
                log.error("this machine's clock is wrong", extra={"ahead_of_vps_s": round(skew, 1)})
            self._warned = True
        else:
            self._warned = False

    def offset_s(self) -> float:
        """How far it is ahead of the machine's uptime."""
        return self.now() - uptime()

    def has_moved(self, offset_s: float) -> bool:
        """Whether what was signed at that offset is worth signing again."""
        return abs(self.offset_s() - offset_s) > NOTABLE_SKEW_S

    def skew_s(self) -> float | None:
        """How far this machine's clock is ahead of the VPS's; None before the first answer."""
        return None if self._ahead is None else time.time() - uptime() - self._ahead
