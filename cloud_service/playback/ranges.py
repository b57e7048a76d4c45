"""Which bytes a Range asks for (RFC 9110 section 14), read as nginx reads it, but for numbers of any length."""

import re

UNIT = b"bytes="
MOST_RANGES = 32
"""In one request; nginx has `max_ranges` for this."""
_RANGE = re.compile(rb" *+(?:([0-9]++) *+- *+([0-9]*+)|-([0-9]++)) *+")
_PLAIN = re.compile(rb"bytes=([0-9]{1,19})-([0-9]{1,19})")
"""What nearly everybody asks for, and what is told of it at once."""
_MOST_DIGITS = 19
_BEYOND = 10**_MOST_DIGITS


class Unsatisfiable(Exception):
    """Not one byte of what was asked for exists, or it cannot be understood: 416."""


def wanted_ranges(header: bytes, size: int) -> tuple[range, ...]:
    """Of a file of `size` bytes, in the order in which they were asked for; without any, all of it is to be sent.

    So it is for other units, for more than MOST_RANGES, and for ranges that overlap until they come to more than the
    file. Those that lie beyond its end are left out. Raises Unsatisfiable when there is no other.
    """
    if (plain := _PLAIN.fullmatch(header)) and (first := int(plain[1])) < size and first <= (last := int(plain[2])):
        return (range(first, min(last + 1, size)),)
    unit, listed = header[: len(UNIT)], header[len(UNIT) :]
    if unit.lower() != UNIT or not listed or size == 0:
        return ()
    asked = listed.split(b",")
    if len(asked) > MOST_RANGES:
        return ()
    found = tuple(wanted for one in asked if (wanted := _wanted_range(one, size)))
    if not found:
        raise Unsatisfiable
    return found if sum(map(len, found)) <= size else ()


def _wanted_range(asked: bytes, size: int) -> range:
    """Perhaps an empty one. Raises Unsatisfiable."""
    match = _RANGE.fullmatch(asked)
    if match is None:
        raise Unsatisfiable
    first, last, suffix = match.groups()
    if suffix is not None:
        return range(max(0, size - _number(suffix)), size)
    return range(_number(first), min(_number(last) + 1, size) if last else size)


def _number(digits: bytes) -> int:
    """However many there are: beyond the end of every file is far enough."""
    significant = digits.lstrip(b"0")
    return int(significant or b"0") if len(significant) <= _MOST_DIGITS else _BEYOND
