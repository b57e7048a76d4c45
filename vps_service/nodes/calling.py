"""Which node is calling: each call signed with a key that the operator admitted, in time, and for the first time."""

import logging
import time

from fastapi import Request
from fastapi.security import HTTPBearer
from prometheus_client import Counter
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.contract import INTERNAL, VPS
from shared.problems import InternalError, NotAuthenticated, problem_response
from shared.service_tokens import ANSWER_HEADER, Call, ServiceSigner, SignedCall, caller_key_id, verify_call
from shared.tokens import InvalidToken, NotInTime, UnknownKey, load_public_keys
from vps_service.db import Sessions
from vps_service.nodes.models import NodeKey, SpentToken

log = logging.getLogger(__name__)

refused_calls = Counter("toptank_service_calls_refused", "Calls of nodes that were refused, by reason", ["reason"])


class CallingNode(HTTPBearer):
    """A dependency: the name of the node that signed this very request. Raises NotAuthenticated."""

    def __init__(self) -> None:
        super().__init__(scheme_name="ServiceToken", description="A node's token, made for this very call.")

    async def __call__(self, request: Request) -> str:  # type: ignore[override]
        query = f"?{request.url.query}" if request.url.query else ""
        call = Call(request.method, f"{request.scope['path']}{query}", await request.body())
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer":
                raise InvalidToken("no bearer token")
            return await self._accept(request, token, call)
        except InvalidToken as error:
            reason = "clock" if isinstance(error, NotInTime) else "token"
            refused_calls.labels(reason).inc()
            log.warning("service call refused", extra={"path": request.url.path, "reason": str(error)})
            raise NotAuthenticated from None

    async def _accept(self, request: Request, token: str, call: Call) -> str:
        """Once its signature holds, a caller gets a signed answer: one whose clock is wrong learns the time from it."""
        sessions: Sessions = request.app.state.sessions
        async with sessions() as session, session.begin():
            key = await session.get(NodeKey, caller_key_id(token))
            if key is None:
                raise UnknownKey("a key that no node has")
            (public_key,) = load_public_keys(key.pem)
            signed = verify_call(token, public_key, call, caller=key.node_id, called=VPS)
            request.state.signed_call = (key.node_id, signed.token_id)
            signed.check_time(time.time())
            await _spend(session, signed)
        return key.node_id


async def _spend(session: AsyncSession, signed: SignedCall) -> None:
    """Every VPS process sees it. Raises InvalidToken for a token that was used before."""
    await session.execute(text("SET LOCAL synchronous_commit = off"))
    row = insert(SpentToken).values(id=signed.token_id, expires_at=signed.expires_at).on_conflict_do_nothing()
    if (await session.execute(row.returning(SpentToken.id))).scalar_one_or_none() is None:
        raise InvalidToken("the token was used before")


calling_node = CallingNode()


class SignedAnswers:
    """ASGI middleware: signs every answer to a call that a node signed."""

    def __init__(self, app: ASGIApp, signer: ServiceSigner) -> None:
        self.app, self.signer = app, signer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(f"{INTERNAL}/"):
            await self.app(scope, receive, send)
            return
        scope.setdefault("state", {})
        start: Message = {}
        body = b""

        async def signed(message: Message) -> None:
            nonlocal start, body
            if message["type"] == "http.response.start":
                start = message
                return
            body += message.get("body", b"")
            if message.get("more_body"):
                return
            if signed_call := scope["state"].get("signed_call"):
                node_id, token_id = signed_call
                token = self.signer.answer(node_id, token_id, start["status"], body)
                start["headers"] = [*start["headers"], (ANSWER_HEADER.lower().encode(), token.encode())]
            await send(start)
            await send({"type": "http.response.body", "body": body})

        try:
            await self.app(scope, receive, signed)
        except Exception:
            if not scope["state"].get("signed_call"):
                raise
            # A node has to know that it was the VPS that failed, and not somebody on the way.
            log.exception("unexpected error")
            await problem_response(InternalError())(scope, receive, signed)
