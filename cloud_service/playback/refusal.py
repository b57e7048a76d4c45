"""How the callables in front of the framework answer with an error: as a problem that nobody keeps, and a log line."""

import logging
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.types import Receive, Scope, Send

from cloud_service.node import DatabaseUnusable
from shared.logs import incoming_request_id
from shared.problems import AppError, InternalError, problem_response

log = logging.getLogger(__name__)

Answering = Callable[[Scope, Send, str], Awaitable[None]]
"""With the request's id."""


async def answer_or_refuse(
    answering: Answering, scope: Scope, receive: Receive, send: Send, event: str, **about: Any
) -> None:
    """`event` and what it is `about` are logged when it is refused."""
    request_id = incoming_request_id(scope)
    try:
        await answering(scope, send, request_id)
        return
    except AppError as error:
        refused = error
    except sqlite3.Error as error:
        log.error("database failed", extra={"reason": str(error)})
        refused = DatabaseUnusable()
    level = logging.ERROR if refused.status == InternalError.status else logging.INFO
    log.log(level, event, extra={**about, "status": refused.status, "code": refused.code})
    refusal = problem_response(refused)
    refusal.headers["X-Request-ID"] = request_id
    refusal.headers["Cache-Control"] = "no-store"
    await refusal(scope, receive, send)
