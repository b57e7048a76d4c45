"""Captions as they come, WebVTT or SubRip, made into WebVTT that can be shown (https://www.w3.org/TR/webvtt1/).

Of a file only its cues are kept, with their times, their settings and their text: no STYLE, REGION or NOTE blocks,
and no names of cues.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

from cloud_service.captions.cue_text import safe_srt, safe_vtt
from cloud_service.captions.errors import InvalidCaptions, NotCaptions

MOST_CUES, MOST_CHARACTERS = 20_000, 4_000
ARROW = "-->"

_VTT_TIME = r"(?:([0-9]{2,4}):)?([0-5][0-9]):([0-5][0-9])\.([0-9]{3})"
_SRT_TIME = r"(?:([0-9]{1,4}):)?([0-5]?[0-9]):([0-5]?[0-9])[,.]([0-9]{1,3})"
_VTT_TIMING = re.compile(rf"[ \t]*{_VTT_TIME}[ \t]*-->[ \t]*{_VTT_TIME}(?:[ \t]+(.*))?", re.ASCII)
_SRT_TIMING = re.compile(rf"[ \t]*{_SRT_TIME}[ \t]*-->[ \t]*{_SRT_TIME}(?:[ \t]+(.*))?", re.ASCII)
_NUMBER = re.compile(r"[ \t]*[0-9]{1,9}[ \t]*", re.ASCII)
_PERCENT = r"(?:100(?:\.0+)?|[0-9]{1,2}(?:\.[0-9]{1,6})?)%"
_SETTING = re.compile(
    r"vertical:(?:rl|lr)"
    rf"|line:(?:-?[0-9]{{1,4}}|{_PERCENT})(?:,(?:start|center|end))?"
    rf"|position:{_PERCENT}(?:,(?:line-left|center|line-right))?"
    rf"|size:{_PERCENT}"
    r"|align:(?:start|center|end|left|right)",
    re.ASCII,
)


class Cue(NamedTuple):
    """Times in milliseconds; `text` is safe."""

    start: int
    end: int
    settings: str
    text: str


def to_webvtt(content: bytes) -> bytes:
    """Raises NotCaptions, and InvalidCaptions naming the line."""
    lines = re.split(r"\r\n|\r|\n", _decoded(content))
    cues = list(_vtt_cues(lines) if _begins_as_vtt(lines[0]) else _srt_cues(lines))
    if not cues:
        raise InvalidCaptions("There is not one cue in the file.")
    cues.sort(key=lambda cue: cue.start)
    blocks = [f"{_clock(cue.start)} {ARROW} {_clock(cue.end)}{cue.settings}\n{cue.text}\n" for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks]).encode()


def _decoded(content: bytes) -> str:
    """UTF-8, or UTF-16 that says so. Older encodings cannot be told from one another."""
    is_utf16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = content.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise NotCaptions("The text is neither UTF-8 nor UTF-16; save it as UTF-8.") from None
    if "\0" in text:
        raise NotCaptions("The file holds no text, or UTF-16 without its mark; save it as UTF-8.")
    return text


def _begins_as_vtt(line: str) -> bool:
    return line.startswith("WEBVTT") and line[6:7] in ("", " ", "\t")


def _vtt_cues(lines: list[str]) -> Iterator[Cue]:
    """A cue's text goes up to a blank line, or to the next cue's times; what has no times is passed over."""
    for number, timing, text in _blocks(lines):
        match = _VTT_TIMING.fullmatch(timing)
        if match is None:
            raise InvalidCaptions(f"Line {number}: the times are not written as 00:00:01.000 {ARROW} 00:00:02.000.")
        until_blank = text[: text.index("")] if "" in text else text
        yield from _cue(number, match, _settings(match[9] or ""), until_blank, safe_vtt)


def _srt_cues(lines: list[str]) -> Iterator[Cue]:
    """A cue's text goes up to the next cue's number, blank lines and all."""
    blocks = list(_blocks(lines))
    if not blocks or not any(_SRT_TIMING.fullmatch(timing) for _, timing, _ in blocks):
        raise NotCaptions("The file does not begin with WEBVTT, and has no times as SubRip writes them.")
    for place, (number, timing, text) in enumerate(blocks):
        match = _SRT_TIMING.fullmatch(timing)
        if match is None:
            raise InvalidCaptions(f"Line {number}: the times are not written as 00:00:01,000 {ARROW} 00:00:02,000.")
        is_last = place == len(blocks) - 1
        own = text[:-1] if text and not is_last and _NUMBER.fullmatch(text[-1]) else text
        yield from _cue(number, match, "", own, safe_srt)


def _blocks(lines: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Each line with times, its number from 1, and the lines up to the next one."""
    places = [place for place, line in enumerate(lines) if ARROW in line]
    if len(places) > MOST_CUES:
        raise InvalidCaptions(f"There are more than {MOST_CUES} cues.")
    for place, following in pairwise([*places, len(lines)]):
        yield place + 1, lines[place], [line.rstrip() for line in lines[place + 1 : following]]


def _cue(
    number: int, match: re.Match[str], settings: str, text: list[str], safe: Callable[[str], str]
) -> Iterator[Cue]:
    """Nothing for one that says nothing."""
    start, end = _milliseconds(match.groups()[:4]), _milliseconds(match.groups()[4:8])
    if end <= start:
        raise InvalidCaptions(f"Line {number}: the cue ends before it has begun.")
    written = "\n".join(line for line in text if line)
    if len(written) > MOST_CHARACTERS:
        raise InvalidCaptions(f"Line {number}: the cue says more than {MOST_CHARACTERS} characters.")
    if said := safe(written):
        yield Cue(start, end, settings, said)


def _settings(told: str) -> str:
    """Those that a cue by itself may have, each with a space in front."""
    kept = {setting.partition(":")[0]: setting for setting in told.split() if _SETTING.fullmatch(setting)}
    return "".join(f" {setting}" for setting in kept.values())


def _milliseconds(parts: tuple[str | None, ...]) -> int:
    hours, minutes, seconds, fraction = (part or "0" for part in parts)
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1000 + int(fraction.ljust(3, "0"))


def _clock(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}.{fraction:03}"
