"""Periods over which things are counted; how many of each there may be is in the settings."""

from dataclasses import dataclass

QUARTER_S, HOUR_S, DAY_S = 15 * 60.0, 3600.0, 24 * 3600.0


@dataclass(frozen=True)
class Limit:
    """`most` of `name` for `key` at once, and then one every `per_s / most` seconds; 0: as many as they like."""

    name: str
    key: str
    most: int
    per_s: float
