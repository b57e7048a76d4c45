"""What a cue may say: text with WebVTT's own tags, and nothing else that a player might take for markup."""

import html
import re
from collections.abc import Callable, Iterator

_TAG = re.compile(r"<([^<>]*)>")
_MARKUP = re.compile(r"[a-zA-Z/!?]|[0-9:.]+\Z")
_START = re.compile(r"(c|i|b|u|ruby|rt|v|lang)((?:\.[\w-]+)*)(?: (.*))?", re.ASCII)
_END = re.compile(r"/(?:c|i|b|u|ruby|rt|v|lang)")
_TIMESTAMP = re.compile(r"(?:[0-9]{2,4}:)?[0-5][0-9]:[0-5][0-9]\.[0-9]{3}")
_ANNOTATED = ("v", "lang")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]")
_CAPITALS = re.compile(r"</?[BIU]>")
_POSITION = re.compile(r"\{\\[^{}\n]*\}")


def safe_vtt(text: str) -> str:
    """The text with its references written anew, and without what would end a cue."""
    return _written_anew(text, html.unescape)


def safe_srt(text: str) -> str:
    """SubRip knows no references, but italics in capitals, and positions as in SSA (`{\\an8}`), which go."""
    return _written_anew(_CAPITALS.sub(lambda tag: tag[0].lower(), _POSITION.sub("", text)), str)


def _written_anew(text: str, resolved: Callable[[str], str]) -> str:
    cleaned = _CONTROLS.sub("", "".join(_pieces(text, resolved))).replace("\r", "\n")
    return "\n".join(line for line in cleaned.split("\n") if line.strip())


def _pieces(text: str, resolved: Callable[[str], str]) -> Iterator[str]:
    end = 0
    for tag in _TAG.finditer(text):
        yield _escaped(resolved(text[end : tag.start()]))
        yield _tag(tag[1], resolved)
        end = tag.end()
    yield _escaped(resolved(text[end:]))


def _tag(written: str, resolved: Callable[[str], str]) -> str:
    """The tag, or nothing when it is none of WebVTT's; as text what is no tag at all, like `< 2 and >`."""
    if not _MARKUP.match(written):
        return _escaped(resolved(f"<{written}>"))
    inside = " ".join(written.split())
    if _END.fullmatch(inside) or _TIMESTAMP.fullmatch(inside):
        return f"<{inside}>"
    start = _START.fullmatch(inside)
    if start is None:
        return ""
    name, classes, annotation = start.groups(default="")
    if not annotation or name not in _ANNOTATED:
        return f"<{name}{classes}>"
    told = _escaped(" ".join(resolved(annotation).split())).replace("=", "&#61;")  # in a page it would be attributes
    return f"<{name}{classes} {told}>"


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
