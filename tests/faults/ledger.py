"""What the product has acknowledged, written down by whoever received the answer; the audit asks for all of it."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Ledger:
    """Ids as text. `doubted` are those for which something was asked and no answer came: either outcome is right."""

    paid: set[str] = field(default_factory=set)
    refunded: set[str] = field(default_factory=set)
    stored: dict[str, str] = field(default_factory=dict)
    """Videos, with the SHA-256 of what was uploaded."""
    deleted: set[str] = field(default_factory=set)
    """Videos and courses."""
    states: dict[str, str] = field(default_factory=dict)
    """Accounts that were banned or activated, with what they are now."""
    doubted: set[str] = field(default_factory=set)
    orphaned: set[str] = field(default_factory=set)
    """Videos that a VPS restored from a backup knows no lesson of: kept on the node until somebody decides."""

    def copy(self) -> Self:
        """As of now, for a backup that is to be restored."""
        return deepcopy(self)
