"""Which pages of other origins a browser lets read our answers (https://fetch.spec.whatwg.org/#http-cors-protocol).

Only those that were named, each by itself, never `*`; and nobody's cookies: tokens are in headers and in paths.
"""

import re
from collections.abc import Awaitable, Collection, Iterable
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import FastAPI
from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
REMEMBERED_S = 7200
"""So long a browser need not ask again; Chromium believes no more."""
NO_CONTENT = 204
DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN = re.compile(r"https?://([\w.-]+|\[[0-9a-f:.]+\])(:\d+)?/?", re.IGNORECASE | re.ASCII)
_VARY = (b"vary", b"Origin")


def origin_of(url: str) -> str:
    """That of a page at this address, as browsers write it (RFC 6454 6.2). Raises ValueError for an impossible port."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in str(parts.hostname) else parts.hostname
    port = "" if parts.port in (None, DEFAULT_PORTS.get(parts.scheme)) else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}"


def _listed(origins: object) -> object:
    return origins.replace(",", " ").split() if isinstance(origins, str) else origins


def _origins(given: tuple[str, ...]) -> tuple[str, ...]:
    if not all(map(_ORIGIN.fullmatch, given)):
        raise ValueError("must be origins like https://host or http://host:8000, with a space or comma between")
    return tuple(map(origin_of, given))


Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed), AfterValidator(_origins)]


class Cors:
    """ASGI middleware: tells browsers that pages of `origins` may read every answer, and what they may ask with.

    To others nothing is told, and a browser keeps what was answered from their pages. Each answer says that it depends
    on the origin, so that no cache gives one page what was told to another.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str], sent: Iterable[str], read: Iterable[str]) -> None:
        """`sent` are headers of requests and `read` of answers, besides those that any page may send and read."""
        self._app = app
        self._allowed = {origin.encode(): (b"access-control-allow-origin", origin.encode()) for origin in origins}
        self._read = (b"access-control-expose-headers", ", ".join(read).encode())
        self._may_ask = [
            _VARY,
            (b"access-control-allow-methods", METHODS.encode()),
            (b"access-control-allow-headers", ", ".join(sent).encode()),
            (b"access-control-max-age", b"%d" % REMEMBERED_S),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        allowed: tuple[bytes, bytes] | None = None
        asks_first = False
        for name, value in scope["headers"]:
            if name == b"origin":
                allowed = self._allowed.get(value)
            elif name == b"access-control-request-method":
                asks_first = scope["method"] == "OPTIONS"
        if allowed and asks_first:
            await send({"type": "http.response.start", "status": NO_CONTENT, "headers": [allowed, *self._may_ask]})
            await send({"type": "http.response.body", "body": b""})
            return
        told = (_VARY, allowed, self._read) if allowed else (_VARY,)

        def telling(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *told]
            return send(message)

        await self._app(scope, receive, telling)


def let_pages_read(app: FastAPI, origins: Collection[str], *, sent: Iterable[str], read: Iterable[str]) -> None:
    """As `Cors`, around everything else: what nobody expected is answered outside of all other middleware."""
    stack = app.build_middleware_stack
    app.build_middleware_stack = lambda: Cors(stack(), origins, sent, read)  # type: ignore[method-assign]
