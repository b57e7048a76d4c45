"""Language tags (RFC 5646): well-formed or not, and how they are written."""

import re

MOST_CHARACTERS = 35
"""What RFC 5646 4.4.1 asks everybody to have room for."""

_TAG = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}|[a-z]{4,8})"  # language, with extended ones
    r"(?:-[a-z]{4})?"  # script
    r"(?:-(?:[a-z]{2}|[0-9]{3}))?"  # region
    r"(?P<variants>(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*)"
    r"(?P<extensions>(?:-[a-wyz0-9](?:-[a-z0-9]{2,8})+)*)"
    r"(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+"
)


def canonical(tag: str) -> str | None:
    """The tag as RFC 5646 2.1.1 writes it, `zh-Hant-TW`; None for one that is not well-formed, or too long.

    The old irregular ones (`i-klingon`) are none; whether a language of that name exists is not asked.
    """
    lower = tag.lower()
    match = _TAG.fullmatch(lower) if tag.isascii() and len(tag) <= MOST_CHARACTERS else None
    if match is None:
        return None
    variants = (match["variants"] or "").split("-")[1:]
    singletons = [part for part in (match["extensions"] or "").split("-") if len(part) == 1]
    if len(set(variants)) < len(variants) or len(set(singletons)) < len(singletons):
        return None
    return _cased(lower.split("-"))


def _cased(subtags: list[str]) -> str:
    written, after_singleton = [], False
    for place, subtag in enumerate(subtags):
        plain = place == 0 or after_singleton
        after_singleton = after_singleton or len(subtag) == 1
        if not plain and len(subtag) == 2:
            subtag = subtag.upper()
        elif not plain and len(subtag) == 4 and subtag.isalpha():
            subtag = subtag.title()
        written.append(subtag)
    return "-".join(written)
