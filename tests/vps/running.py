"""The VPS service in this process, on a real database, spoken to over HTTP messages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import Engine, text

from shared.contract import REPORTS, VPS, NodeReport
from shared.service_tokens import ANSWER_HEADER, Call, ServiceSigner, keys_by_id, verify_answer
from shared.tokens import load_private_key, load_public_keys
from vps_service.app import create_app
from vps_service.db import Sessions
from vps_service.nodes.actions import admit_node
from vps_service.settings import VpsSettings

ORIGIN = "http://vps.test"
NODE = "node-1"


def node_report(name: str = NODE, **changes: Any) -> NodeReport:
    """A node that is well, and has room."""
    told = {
        "url": f"http://{name}.test",
        "capacity_bytes": 100 * 2**30,
        "bytes_free": 50 * 2**30,
        "bytes_stored": 0,
        "videos": 0,
        "grants": 0,
        "outbox_depth": 0,
        "outbox_age_s": 0,
        "outbox_set_aside": 0,
        "feed_position": 0,
        "trust_age_s": 0.5,
        "clock_skew_s": 0.0,
    }
    return NodeReport.model_validate(told | changes)


class Node:
    """A Cloud node as the VPS knows it: it signs every call, and takes no answer that the VPS did not sign."""

    def __init__(self, http: httpx.AsyncClient, name: str, key: Ed25519PrivateKey, vps_key: Ed25519PublicKey) -> None:
        self.name, self.key, self.vps_keys = name, key, keys_by_id((vps_key,))
        self.signer = ServiceSigner(name, key)
        self._http = http

    async def get(self, target: str) -> httpx.Response:
        return await self.call("GET", target)

    async def post(self, target: str, body: BaseModel) -> httpx.Response:
        return await self.call("POST", target, body.model_dump_json().encode())

    async def report(self, **changes: Any) -> httpx.Response:
        return await self.post(REPORTS, node_report(self.name, **changes))

    async def call(self, method: str, target: str, content: bytes = b"") -> httpx.Response:
        token, token_id = self.signer.call(VPS, Call(method, target, content))
        answer = await self.send(token, method, target, content)
        self.check(answer, token_id)
        return answer

    def check(self, answer: httpx.Response, token_id: str) -> int:
        """When the VPS signed it. Raises InvalidToken, KeyError for an answer that is not signed."""
        return verify_answer(
            answer.headers[ANSWER_HEADER],
            self.vps_keys,
            caller=self.name,
            called=VPS,
            token_id=token_id,
            status=answer.status_code,
            body=answer.content,
        )

    def token(self, method: str, target: str, content: bytes = b"") -> str:
        token, _ = self.signer.call(VPS, Call(method, target, content))
        return token

    async def send(self, token: str, method: str, target: str, content: bytes = b"") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        return await self._http.request(method, target, headers=headers, content=content)


@dataclass
class Vps:
    app: FastAPI
    http: httpx.AsyncClient
    settings: VpsSettings
    secrets: Path
    node: Node

    @property
    def sessions(self) -> Sessions:
        sessions: Sessions = self.app.state.sessions
        return sessions

    async def rows(self, sql: str, **values: Any) -> list[dict[str, Any]]:
        """What is in the database, or, for an UPDATE, what only somebody at the database can do."""
        async with self.sessions() as session, session.begin():
            found = await session.execute(text(sql), values)
            return [dict(row) for row in found.mappings()] if found.returns_rows else []  # type: ignore[attr-defined]

    async def row(self, sql: str, **values: Any) -> dict[str, Any]:
        (found,) = await self.rows(sql, **values)
        return found


_first: dict[str, Engine] = {}


def _share_what_is_compiled(sessions: Sessions) -> None:
    """Each test has engines of its own, and each would compile every statement anew: a fifth of what a test takes."""
    for name, engine in (("transactions", sessions.kw["bind"]), ("questions", sessions.questions)):
        own, first = engine.sync_engine, _first.setdefault(name, engine.sync_engine)
        own.dialect, own._compiled_cache = first.dialect, first._compiled_cache


@asynccontextmanager
async def running(settings: VpsSettings, secrets: Path) -> AsyncIterator[Vps]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as http,
    ):
        key = load_private_key((secrets / "node_key").read_text())
        (vps_key,) = load_public_keys((secrets / "vps_public_key").read_text())
        vps = Vps(app, http, settings, secrets, Node(http, NODE, key, vps_key))
        _share_what_is_compiled(vps.sessions)
        async with vps.sessions() as session, session.begin():
            await admit_node(session, NODE, (secrets / "node_public_key").read_text())
        (await vps.node.report()).raise_for_status()
        yield vps
