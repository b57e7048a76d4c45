"""Structured logs: one JSON object a line on standard error, with the request's id on every line."""

import json
import logging
import os
import re
import sys
import time
from contextvars import ContextVar
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADER = "X-Request-ID"
ROUTINE = ("/health/live", "/health/ready", "/metrics", "/internal/changes", "/internal/reports")
"""Asked every few seconds for as long as the service lives: a line each would drown the others."""
BAD_REQUEST = 400
_HEADER_BYTES = HEADER.lower().encode()
_SECRET = re.compile(r"[A-Za-z0-9_-]{40,}")
"""In a path nothing that is meant to be read is as long."""
_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._-]{8,64}")

_request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

log = logging.getLogger("toptank.request")


def request_id() -> str | None:
    """The id of the request being answered here, to be handed on to the other service."""
    return _request_id.get()


def incoming_request_id(scope: Scope) -> str:
    """The caller's request id when it is harmless to log, else a new one; becomes this task's id."""
    given = next((value for name, value in scope["headers"] if name == _HEADER_BYTES), b"")
    chosen = given.decode() if _ACCEPTABLE.fullmatch(given) else os.urandom(16).hex()
    _request_id.set(chosen)
    return chosen


class JsonLines(logging.Formatter):
    """Formats a record, and whatever was passed as `extra`, as one JSON object."""

    standard = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}

    def __init__(self, service: str) -> None:
        super().__init__()
        self.service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self.service,
            "logger": record.name,
            "event": record.getMessage(),
        }
        if current := request_id():
            line["request_id"] = current
        line |= {name: value for name, value in vars(record).items() if name not in self.standard}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(service: str, level: str) -> None:
    """Send every logger of this process to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines(service))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for chatty in ("httpx", "httpcore", "uvicorn.access", "alembic", "aiosqlite", "PIL"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class RequestLog:
    """ASGI middleware: gives each request its id, answers with it, and logs one line when it ends."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        current = incoming_request_id(scope)
        started, status = time.perf_counter(), 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (_HEADER_BYTES, current.encode())]
            await send(message)

        try:
            await self.app(scope, receive, send_with_id)
        except Exception:
            status = 500  # answered further out, by whoever knows every error
            raise
        finally:
            fields = {"method": scope["method"], "path": _SECRET.sub("...", scope["path"]), "status": status}
            is_routine = scope["path"] in ROUTINE and status < BAD_REQUEST
            level = logging.DEBUG if is_routine else logging.INFO
            log.log(level, "request", extra={**fields, "ms": round((time.perf_counter() - started) * 1000, 1)})
