"""A file's name: shown and offered for saving it, never a path of ours (RFC 6266, RFC 8187)."""

import re
import unicodedata
from urllib.parse import quote

from cloud_service.media.containers import ENDINGS_OF_VIDEOS
from cloud_service.media.documents import ENDINGS
from shared.problems import Invalid

MOST_CHARACTERS = 200
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
"""They turn `cod.exe` into what reads `exe.doc`."""
_UNSAVABLE = re.compile(r'[/\\:*?"<>|%;]')
_TOKEN = re.compile(r"[^A-Za-z0-9!#$&+.^_`|~ ()\[\]{}=@,'-]")


class InvalidName(Invalid):
    code, title = "invalid_name", "The file cannot have this name"


def cleaned(name: str) -> str:
    """The name with `_` for what some system cannot have in one. Raises InvalidName."""
    if any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") or letter in _TURNING for letter in name):
        raise InvalidName("A name has no control characters, nor any that turn the direction.", field="name")
    name = _UNSAVABLE.sub("_", unicodedata.normalize("NFC", name)).strip(" .")
    if not name or not name.strip("_"):
        raise InvalidName("A file needs a name.", field="name")
    if len(name) > MOST_CHARACTERS:
        raise InvalidName(f"A name has at most {MOST_CHARACTERS} characters.", field="name")
    return name


def saved_as(title: str, otherwise: str, media_type: str) -> str:
    """What a video is saved as: its title, or `otherwise` if that makes no name."""
    try:
        name = cleaned(title)
    except InvalidName:
        name = otherwise
    return with_ending(name, media_type)


def with_ending(name: str, media_type: str) -> str:
    """The name ends as what the file is, whatever it was called: nobody's system opens it as something else."""
    ending = (ENDINGS | ENDINGS_OF_VIDEOS)[media_type]
    return name if name.lower().endswith(ending) else f"{name[: MOST_CHARACTERS - len(ending)].rstrip(' .')}{ending}"


def content_disposition(name: str) -> str:
    """To be saved under this name; twice, for clients that know ASCII only."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = _TOKEN.sub("_", plain).strip()
    if plain.startswith("."):
        plain = f"file{plain}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
