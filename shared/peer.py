"""Calls between the services, both ends: signed, bounded in time, with the request's id handed on."""

import logging
from typing import TypeVar

import httpx
from fastapi import Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ValidationError

from shared import logs
from shared.problems import AppError, NotAuthenticated, Unavailable
from shared.tokens import InvalidToken, ServiceSigner, ServiceVerifier

log = logging.getLogger(__name__)

TIMEOUT_S = 2.0

Answer = TypeVar("Answer", bound=BaseModel)


class PeerUnreachable(Unavailable):
    code, title = "peer_unreachable", "The other service cannot be reached"


class PeerRefused(AppError):
    """The other service answered, with an error: this request, or the keys or clocks of the two, do not fit."""

    status, code, title = 502, "peer_refused", "The other service refused the request"

    def __init__(self, status: int, body: str) -> None:
        super().__init__()
        self.answered_status, self.answered_body = status, body


class Peer:
    """The other service at `url`, called `name` in tokens."""

    def __init__(self, name: str, url: str, signer: ServiceSigner) -> None:
        self.name, self._signer = name, signer
        self._http = httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, answer: type[Answer], *, timeout_s: float = TIMEOUT_S) -> Answer:
        return await self._call("GET", path, None, answer, timeout_s)

    async def post(self, path: str, body: BaseModel, answer: type[Answer]) -> Answer:
        return await self._call("POST", path, body, answer, TIMEOUT_S)

    async def _call(
        self, method: str, path: str, body: BaseModel | None, answer: type[Answer], timeout_s: float
    ) -> Answer:
        """Raises PeerUnreachable on silence and 5xx, PeerRefused on any other answer that is not a 200."""
        content = body.model_dump_json().encode() if body else b""
        headers = {
            "Authorization": f"Bearer {self._signer.token(self.name, method, path, content)}",
            "Content-Type": "application/json",
            logs.HEADER: logs.request_id() or "",
        }
        try:
            response = await self._http.request(method, path, content=content, headers=headers, timeout=timeout_s)
        except httpx.TransportError as error:
            log.warning("peer unreachable", extra={"peer": self.name, "path": path, "error": repr(error)})
            raise PeerUnreachable from None
        if response.status_code >= 500:
            log.warning("peer failed", extra={"peer": self.name, "path": path, "status": response.status_code})
            raise PeerUnreachable
        try:
            if response.status_code == httpx.codes.OK:
                return answer.model_validate_json(response.content)
        except ValidationError:
            log.exception("peer answered in another shape", extra={"peer": self.name, "path": path})
        log.error("peer refused", extra={"peer": self.name, "path": path, "status": response.status_code})
        raise PeerRefused(response.status_code, response.text[:500])


class CallingPeer(HTTPBearer):
    """A dependency: the name of the service that signed this very request. Raises NotAuthenticated."""

    def __init__(self) -> None:
        about = "A token of the other service, made for this very call."
        super().__init__(scheme_name="ServiceToken", description=about)

    async def __call__(self, request: Request) -> str:  # type: ignore[override]
        verifier: ServiceVerifier = request.app.state.service_verifier
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


calling_peer = CallingPeer()
