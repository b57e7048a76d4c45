"""The receiving side of calls between the services."""

import logging

from fastapi import Request

from shared.problems import NotAuthenticated
from shared.tokens import InvalidToken, ServiceVerifier

log = logging.getLogger(__name__)


async def calling_peer(request: Request, verifier: ServiceVerifier) -> str:
    """The name of the service that signed this very request. Raises NotAuthenticated."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    query = f"?{request.url.query}" if request.url.query else ""
    target = f"{request.scope['path']}{query}"
    try:
        if scheme.lower() != "bearer":
            raise InvalidToken("no bearer token")
        return verifier.verify(token, request.method, target, await request.body())
    except InvalidToken as error:
        log.warning("service call refused", extra={"path": request.url.path, "reason": str(error)})
        raise NotAuthenticated from None
