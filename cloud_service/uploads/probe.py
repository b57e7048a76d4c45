"""Look into an uploaded file: is there a video that can be decoded, how long, how large?

A decoder may have faults and the file may be made to find them, so this is done in a process of its own, bounded in
time, processor and memory, which can open this one file and no socket: cloud_service.uploads.inspection.

What that process says is final. That it ended without a word is not: whoever is short of memory may have ended it.
"""

import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from cloud_service.media.asking import Answer, Asking
from cloud_service.media.confined import FAILED, CannotConfine
from cloud_service.uploads.errors import NotInspected

log = logging.getLogger(__name__)

TIMEOUT_S = 20
TRIES = 2
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGSYS)
"""How a process ends for what it did itself."""
UNOPENED, TOO_LONG = "The file cannot be opened as a video.", "The file takes too long to open."


class NoVideo(Exception):
    """Not a video; the message says why, for a teacher to read."""


class Wordless(Exception):
    """The inspector hung, or crashed again. It may be the file's doing; the message is what is to be said then."""


@dataclass(frozen=True)
class Probed:
    """`plays` says whether browsers play the file as it is; a `duration_s` of 0 that nobody knows how long it lasts."""

    duration_s: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    plays: bool


@dataclass(frozen=True)
class _Refusal:
    reason: Annotated[str, Field(min_length=1, max_length=500)]


WORD: TypeAdapter[Probed | _Refusal] = TypeAdapter(Probed | _Refusal)
"""What the inspector may say. The file may have taken it over."""


async def probe(path: Path, inspector: Asking) -> Probed:
    """Raises NoVideo, Wordless, NotInspected, and CannotConfine where this machine cannot look into files safely."""
    for tries_left in reversed(range(TRIES)):
        try:
            answer = await inspector.ask(str(path), within_s=TIMEOUT_S)
        except TimeoutError:
            log.warning("an inspection hung", extra={"path": str(path)})
            raise Wordless(TOO_LONG) from None
        except OSError as error:
            log.warning("an inspection could not start", extra={"reason": str(error)})
            continue
        if word := _word_of(answer):
            if isinstance(word, _Refusal):
                raise NoVideo(word.reason)
            return word
        log.warning("an inspection failed", extra={"code": answer.code, "said": answer.said[-2000:]})
        if not tries_left and answer.code in [-crash for crash in CRASHES]:
            raise Wordless(UNOPENED)
    raise NotInspected


def _word_of(answer: Answer) -> Probed | _Refusal | None:
    """None if there was none. Raises CannotConfine."""
    if answer.code == FAILED:
        raise CannotConfine(answer.said.strip())
    if answer.code == -signal.SIGXCPU:
        return _Refusal(TOO_LONG)
    try:
        return WORD.validate_json(answer.output, strict=True) if answer.code == 0 else None
    except ValidationError:
        return None
