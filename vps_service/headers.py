"""What every answer of the VPS tells browsers: to run, frame, guess, remember and pass on nothing.

OWASP's HTTP Headers Cheat Sheet. Pages of other origins are the business of shared/cors.py.
"""

from collections.abc import Awaitable, Collection

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HSTS_S = 365 * 24 * 3600
NOTHING = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
NO_FRAME = b"frame-ancestors 'none'"


class SecurityHeaders:
    """ASGI middleware: adds each that the answer has not. `pages` are addresses of pages that need scripts."""

    def __init__(self, app: ASGIApp, *, over_tls: bool, pages: Collection[str]) -> None:
        self._app, self._pages = app, pages
        self._told = [
            (b"x-content-type-options", b"nosniff"),
            (b"referrer-policy", b"no-referrer"),
            (b"x-frame-options", b"DENY"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cache-control", b"no-store"),
        ]
        if over_tls:
            self._told.append((b"strict-transport-security", b"max-age=%d" % HSTS_S))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        policy = NO_FRAME if scope["path"] in self._pages else NOTHING

        def telling(message: Message) -> Awaitable[None]:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                known = {name.lower() for name, _ in headers}
                told = (*self._told, (b"content-security-policy", policy))
                message["headers"] = headers + [header for header in told if header[0] not in known]
            return send(message)

        await self._app(scope, receive, telling)


def protect_answers(app: FastAPI, *, over_tls: bool) -> None:
    """As `SecurityHeaders`, around all other middleware: outside of that is answered what nobody expected."""
    pages = (app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url) if app.openapi_url else ()
    stack = app.build_middleware_stack
    app.build_middleware_stack = lambda: SecurityHeaders(  # type: ignore[method-assign]
        stack(), over_tls=over_tls, pages=[page for page in pages if page]
    )
