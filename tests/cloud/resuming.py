"""Uploads that can be resumed, at a node in this process whose VPS allows every one."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.requests import ClientDisconnect

from cloud_service.settings import CloudSettings
from shared import contract
from tests.cloud.running import Answering, RunningNode
from tests.cloud.things import COURSE, USER, may_upload
from tests.tus.table import OCTETS, VERSION, metadata

CREATION = {**VERSION, "Upload-Metadata": metadata(kind="practice", title="Scales")}
HEAD = b"\0\0\0\x18ftypisom\0\0\0\0isommp41" + bytes(488)
"""What a video may begin with."""


class Permitting(Answering):
    async def _say(self, path: str, body: Any) -> Any:
        if path == contract.UPLOAD_RIGHTS:
            course_id = COURSE if body["lesson_id"] else body["user_id"]
            return may_upload(0, course_id=course_id, quota_bytes=2**40)
        return await super()._say(path, body)


async def begin(node: RunningNode, length: int = 10_000) -> str:
    answer = await node.send("POST", "/uploads", USER, headers={**CREATION, "Upload-Length": str(length)})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["location"])


async def patch(node: RunningNode, address: str, at: int, content: bytes) -> int:
    headers = {**VERSION, **OCTETS, "Upload-Offset": str(at)}
    return (await node.send("PATCH", address, USER, headers=headers, content=content)).status_code


async def patch_that_drops(node: RunningNode, address: str, content: bytes) -> None:
    """Its last byte does not come."""

    async def dropping() -> AsyncIterator[bytes]:
        yield content[:-1]
        raise ClientDisconnect

    headers = {**VERSION, **OCTETS, "Upload-Offset": "0"}
    await node.send("PATCH", address, USER, headers=headers, content=dropping())


async def head(node: RunningNode, address: str) -> Any:
    return await node.send("HEAD", address, USER, headers=VERSION)


def parts(settings: CloudSettings) -> list[Path]:
    return list((settings.folder / "media" / "parts").iterdir())


async def rows(node: RunningNode) -> list[str]:
    assert node.node
    return [row["id"] for row in await node.node.database.fetch("SELECT id FROM resumable_uploads")]


async def is_empty(node: RunningNode, settings: CloudSettings) -> bool:
    assert node.node
    return not (parts(settings) or await rows(node) or node.node.space.under_way())
