"""A whole node in this process, and a VPS that answers everything a node ever asks."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_service.app import create_app
from cloud_service.db import FILE
from cloud_service.node import Node
from cloud_service.opening import open_node
from cloud_service.settings import CloudSettings
from cloud_service.videos.models import StoredVideo
from shared import contract
from shared.answers import ZERO_COPY
from shared.posters import POSTERS, PostersAnswer
from shared.tokens import public_jwk, sign_access
from tests.cloud.made_up import MadeUpVps, response_of
from tests.cloud.things import COURSE, EPOCH, TEACHER, USER, allowed, denied, position

ACCESS_KEY = Ed25519PrivateKey.generate()
POLL_S = 0.1
FILM = b"bytes"


class Answering:
    """`away`: it says 503 to everything. `gone` are videos, `paid` users; another `epoch` is a database set back.

    `refused` are videos that another was before, with what it says of them.
    """

    def __init__(self, made_up: MadeUpVps) -> None:
        self._made_up = made_up
        self.away = False
        self.changes_fail = self.comparing_fails = False
        self.answers_after_s = 0.0
        self.may_answer = asyncio.Event()
        """Who asks whether somebody may watch waits for this."""
        self.may_answer.set()
        self.order = 0
        self.epoch = EPOCH
        self.changes: list[contract.Change] = []
        self.paid = {USER}
        self.gone: set[UUID] = set()
        self.refused: dict[UUID, str] = {}
        self.may_download = False
        self.may_upload: contract.UploadAnswer | None = None
        self.asked: list[tuple[str, Any]] = []
        made_up.router.route().mock(side_effect=self._answer)

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        body = json.loads(request.content) if request.content else dict(request.url.params)
        self.asked.append((path, body))
        if path == contract.ACCESS:
            await asyncio.sleep(self.answers_after_s)
            await self.may_answer.wait()
        said = httpx.Response(503) if self.away else await self._say(path, body)
        return self._made_up.signed(request, response_of(said))

    def told(self, path: str) -> list[Any]:
        return [body for asked, body in self.asked if asked == path]

    async def _say(self, path: str, body: Any) -> Any:
        if (path == contract.CHANGES and self.changes_fail) or (
            path == contract.RECONCILE_COURSES and self.comparing_fails
        ):
            return httpx.Response(503)
        if path == contract.CHANGES:
            return await self._list_changes(body)
        if path == contract.RECONCILE_COURSES:
            return {"differing": [course["course_id"] for course in body["courses"]]}
        if path == contract.RECONCILE_VIDEOS:
            held = [UUID(video["video_id"]) for video in body["videos"]]
            return contract.VideosCompared(unknown=[], gone=[one for one in held if one in self.gone], missing=[])
        if path == contract.ACCESS:
            if UUID(body["user_id"]) not in self.paid:
                return denied(epoch=self.epoch)
            via: contract.Via = "owner" if UUID(body["user_id"]) == TEACHER else "key"
            return allowed(via=via, epoch=self.epoch).model_copy(update={"may_download": self.may_download})
        if path == contract.EVENTS and (reason := self._refusal(body["about"])):
            return contract.EventAnswer(verdict="refused", reason=reason)
        if path == contract.UPLOAD_RIGHTS:
            return self.may_upload
        if path == contract.DELETIONS:
            return {"agreed": True, "teacher_username": "omar", "as_of": position(0).model_dump(mode="json")}
        return {
            contract.ACCESS_KEYS: {"keys": [public_jwk(ACCESS_KEY.public_key())]},
            contract.REPORTS: {"reconcile": self.order},
            POSTERS: PostersAnswer(are_public=True, as_of=position(0, self.epoch)),
            contract.EVENTS: {"verdict": "applied"},
            contract.RECONCILE_GRANTS: {"wrong": []},
            contract.RECONCILED: {},
        }[path]

    def _refusal(self, about: dict[str, Any]) -> str | None:
        return self.refused.get(UUID(about["video_id"])) if about["kind"] == "video_stored" else None

    async def _list_changes(self, asked: dict[str, Any]) -> contract.Changes:
        head = len(self.changes)
        if asked.get("epoch") != str(self.epoch):
            return contract.Changes(epoch=self.epoch, head=head, mark=uuid4(), reset=True)
        after = int(asked["after"])
        if after == head:
            await asyncio.sleep(POLL_S)
        return contract.Changes(epoch=self.epoch, head=len(self.changes), mark=uuid4(), items=self.changes[after:])


class RunningNode:
    def __init__(self, http: httpx.AsyncClient, app: Any, settings: CloudSettings) -> None:
        self._http, self._app = http, app
        self.database = settings.folder / FILE

    @property
    def node(self) -> Node | None:
        """None while it makes itself a new database."""
        node: Node | None = self._app.state.node
        return node

    async def get(self, path: str, user: UUID = USER, **more: Any) -> httpx.Response:
        return await self.send("GET", path, user, **more)

    async def delete(self, path: str, user: UUID) -> httpx.Response:
        return await self.send("DELETE", path, user)

    async def send(self, method: str, path: str, user: UUID, **more: Any) -> httpx.Response:
        token = sign_access(ACCESS_KEY, user, "sara", "student", 60)
        headers = {"Authorization": f"Bearer {token}", **more.pop("headers", {})}
        return await self._http.request(method, path, headers=headers, **more)

    async def watch(self, video: StoredVideo, user: UUID = USER) -> httpx.Response:
        return await self.get(f"/videos/{video.id}/stream", user)


def reading_files(app: ASGIApp) -> ASGIApp:
    """What our server sends of files by their descriptor comes as bytes, which is all that httpx understands."""

    async def read(scope: Scope, receive: Receive, send: Send) -> None:
        async def sending(message: Message) -> None:
            if message["type"] == ZERO_COPY:
                body = os.pread(message["file"], message["count"], message["offset"])
                if len(body) < message["count"]:
                    raise EOFError
                message = {"type": "http.response.body", "body": body, "more_body": message["more_body"]}
            await send(message)

        await app(scope, receive, sending)

    return read


@asynccontextmanager
async def running_node(settings: CloudSettings) -> AsyncIterator[RunningNode]:
    app = create_app(settings)
    transport = httpx.ASGITransport(reading_files(app))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://node.test") as http,
    ):
        yield RunningNode(http, app, settings)


async def eventually(holds: Any, within_s: float = 10) -> Any:
    """The first true value; `holds` may be a coroutine function."""
    async with asyncio.timeout(within_s):
        while True:
            value = holds()
            value = await value if asyncio.iscoroutine(value) else value
            if value:
                return value
            await asyncio.sleep(0.02)


def a_video(number: int = 1, course: UUID = COURSE) -> StoredVideo:
    some_id = str(UUID(int=number))
    return StoredVideo(
        id=some_id,
        lesson_id=some_id,
        course_id=str(course),
        owner_id=str(TEACHER),
        teacher_username="omar",
        size=len(FILM),
        sha256="ab" * 32,
        media_type="video/mp4",
        duration_s=1.0,
        width=160,
        height=90,
        stored_at=number,
    )


async def store(node: Node, *videos: StoredVideo) -> None:
    """As uploads leave them, announced long ago."""
    for video in videos:
        node.store.scratch(video.id).write_bytes(FILM)
        node.store.keep(node.store.scratch(video.id), video)
        async with node.database.transaction(durable=True) as transaction:
            await node.catalogue.add(transaction, video)


@asynccontextmanager
async def opened(settings: CloudSettings) -> AsyncIterator[Node]:
    """A node of which nothing runs."""
    node = await open_node(settings)
    try:
        yield node
    finally:
        await node.vps.close()
        await node.database.close()


@contextmanager
def broken_files(folder: Path) -> Iterator[set[str]]:
    """The names of what was set aside inside."""
    before = {path.name for path in folder.glob("*.broken-*")}
    found: set[str] = set()
    yield found
    found |= {path.name for path in folder.glob("*.broken-*")} - before
