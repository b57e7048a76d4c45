"""The VPS as this node calls it: signed both ways, bounded in time, with the request's id handed on."""

import asyncio
import logging
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from cloud_service.clock import VpsClock
from cloud_service.settings import CloudSettings
from shared import logs
from shared.authorities import trusted
from shared.calling import NO_ANSWER
from shared.contract import VPS
from shared.problems import AppError, Unavailable
from shared.service_tokens import ANSWER_HEADER, Call, ServiceSigner, keys_by_id, verify_answer
from shared.tokens import InvalidToken

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)


class VpsUnreachable(Unavailable):
    code, title = "vps_unreachable", "The VPS cannot be reached"


class VpsFailed(VpsUnreachable):
    """It answered, and what it said was that it could not."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.answered_status = status


class VpsRefused(AppError):
    """The VPS answered, with an error: this request, or the keys of the two, do not fit."""

    status, code, title = 502, "vps_refused", "The VPS refused the request"

    def __init__(self, status: int, body: str) -> None:
        super().__init__()
        self.answered_status, self.answered_body = status, body


class Vps:
    """Believes only what the VPS has signed as the answer to the very call that was made."""

    def __init__(self, settings: CloudSettings, clock: VpsClock) -> None:
        self._clock, self._timeout_s = clock, settings.vps_timeout_s
        self._signer = ServiceSigner(settings.node_id, settings.node_key, clock.now)
        self._keys = keys_by_id(settings.vps_public_key)
        self._http = httpx.AsyncClient(base_url=settings.vps_internal_url, verify=trusted(), trust_env=False)

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, answer: type[Answer], *, timeout_s: float | None = None) -> Answer:
        return await self._call("GET", path, b"", answer, timeout_s)

    async def post(self, path: str, body: BaseModel, answer: type[Answer], *, timeout_s: float | None = None) -> Answer:
        return await self._call("POST", path, body.model_dump_json().encode(), answer, timeout_s)

    async def _call(
        self, method: str, path: str, content: bytes, answer: type[Answer], timeout_s: float | None
    ) -> Answer:
        """Raises VpsUnreachable on silence, VpsFailed on a 5xx, VpsRefused on any other answer that is not a 200."""
        timeout_s, offset_s = timeout_s or self._timeout_s, self._clock.offset_s()
        response = await self._send(method, path, content, timeout_s)
        if response.status_code == httpx.codes.UNAUTHORIZED and self._clock.has_moved(offset_s):
            response = await self._send(method, path, content, timeout_s)  # now by the right time
        if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            log.warning("the VPS failed", extra={"path": path, "status": response.status_code})
            raise VpsFailed(response.status_code)
        try:
            if response.status_code == httpx.codes.OK:
                return answer.model_validate_json(response.content)
        except ValidationError:
            log.exception("the VPS answered in another shape", extra={"path": path})
        log.error("the VPS refused", extra={"path": path, "status": response.status_code})
        raise VpsRefused(response.status_code, response.text[:500])

    async def _send(self, method: str, path: str, content: bytes, timeout_s: float) -> httpx.Response:
        token, token_id = self._signer.call(VPS, Call(method, path, content))
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            logs.HEADER: logs.request_id() or "",
        }
        try:
            async with asyncio.timeout(timeout_s):  # in all; httpx's own is between two signs of life
                response = await self._http.request(method, path, content=content, headers=headers, timeout=None)
        except NO_ANSWER as error:
            log.warning("VPS unreachable", extra={"path": path, "error": repr(error)})
            raise VpsUnreachable from None
        try:
            signed_at = verify_answer(
                response.headers.get(ANSWER_HEADER, ""),
                self._keys,
                caller=self._signer.name,
                called=VPS,
                token_id=token_id,
                status=response.status_code,
                body=response.content,
            )
        except InvalidToken as error:
            # A VPS that could not ask its database who calls, a proxy's error page, or somebody in between.
            level = logging.WARNING if response.is_server_error else logging.ERROR
            extra = {"path": path, "status": response.status_code, "reason": str(error)}
            log.log(level, "answer not signed by the VPS", extra=extra)
            raise VpsUnreachable from None
        self._clock.told(signed_at)
        return response
