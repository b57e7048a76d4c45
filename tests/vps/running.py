"""The VPS service in this process, on a real database, spoken to over HTTP messages."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import text

from shared.contract import VPS
from shared.service_tokens import Call, ServiceSigner
from shared.tokens import load_private_key
from vps_service.app import create_app
from vps_service.db import Sessions
from vps_service.nodes.actions import admit_node
from vps_service.settings import VpsSettings

ORIGIN = "http://vps.test"
NODE = "node-1"


class Node:
    """A Cloud node as the VPS knows it: it signs every call."""

    def __init__(self, http: httpx.AsyncClient, name: str, secrets: Path) -> None:
        self._http = http
        self.signer = ServiceSigner(name, load_private_key((secrets / "node_key").read_text()))

    async def get(self, target: str) -> httpx.Response:
        return await self.send(self.token("GET", target), "GET", target)

    async def post(self, target: str, body: BaseModel) -> httpx.Response:
        content = body.model_dump_json().encode()
        return await self.send(self.token("POST", target, content), "POST", target, content)

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


@asynccontextmanager
async def running(settings: VpsSettings, secrets: Path) -> AsyncIterator[Vps]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url=ORIGIN, timeout=60) as http,
    ):
        vps = Vps(app, http, settings, secrets, Node(http, NODE, secrets))
        async with vps.sessions() as session, session.begin():
            await admit_node(session, NODE, (secrets / "node_public_key").read_text())
        yield vps
