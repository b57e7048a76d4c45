"""Logs: one JSON object a line, with the request's id, whatever is logged."""

import json
import logging
from typing import Any

import pytest

from shared import logs


def logged(message: str, *values: object, **extra: Any) -> dict[str, Any]:
    logger = logging.getLogger("toptank.test")
    record = logger.makeRecord(
        "toptank.test", logging.WARNING, __file__, 1, message, values, extra.pop("exc_info", None), extra=extra
    )
    line = logs.JsonLines("vps").format(record)
    assert "\n" not in line
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_line_says_when_where_and_what() -> None:
    line = logged("stored %s", "a video", size=7)
    assert {name: line[name] for name in ("level", "service", "logger", "event", "size")} == {
        **{"level": "warning", "service": "vps", "logger": "toptank.test", "event": "stored a video", "size": 7},
    }
    assert line["at"].endswith("+00:00")
    assert "request_id" not in line


def test_line_breaks_in_what_is_logged_make_no_second_line() -> None:
    assert logged("%s", 'a\n{"level": "error"}\r\n\u2028')["event"] == 'a\n{"level": "error"}\r\n\u2028'


def test_values_that_json_does_not_know_are_written_as_text() -> None:
    assert logged("x", error=ValueError("no"), path=b"\xff")["error"] == "no"


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        line = logged("failed", exc_info=(type(error), error, error.__traceback__))
    assert "ValueError: why" in line["exception"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (b"0123456789abcdef", True),
        (b"from-the-edge_1.2", True),
        (b"short", False),
        (b"x" * 65, False),
        (b'"}\n{"level":"error"', False),
        ("ünïcödé-id".encode(), False),
        (b"", False),
    ],
)
def test_a_callers_request_id_is_kept_when_it_is_harmless(given: bytes, kept: bool) -> None:
    chosen = logs.incoming_request_id({"headers": [(b"x-request-id", given)]})
    assert (chosen == given.decode()) is kept
    assert logs.request_id() == chosen
    assert 8 <= len(chosen) <= 64
    logs._request_id.set(None)
