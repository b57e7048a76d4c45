"""Everything of a user's as one zip, written while it is sent: neither memory nor a file holds it whole."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID
from zipfile import ZIP_DEFLATED, ZipFile

from pydantic_core import to_json

from vps_service.accounts.images import ImageStore
from vps_service.accounts.models import User
from vps_service.db import Sessions
from vps_service.leaving.parts import Part, parts

MEDIA_TYPE = "application/zip"
ROWS_AT_ONCE = 200
KEY = "_key"


async def export(sessions: Sessions, images: ImageStore, user: User) -> AsyncIterator[bytes]:
    """No connection to the database is held while the client reads: a slow one costs nobody else anything."""
    unsent = _Unsent()
    with ZipFile(unsent, "w", ZIP_DEFLATED) as archive:
        for part in parts(user.id):
            with archive.open(f"{part.name}.json", "w") as file:
                before = b"[\n"
                async for row in _rows(sessions, part):
                    file.write(before + to_json(row))
                    before = b",\n"
                    if sendable := unsent.take():
                        yield sendable
                file.write(b"[]\n" if before == b"[\n" else b"\n]\n")
        if user.image_id and (image := images.path(user.image_id, "square")).is_file():
            archive.write(image, f"image{image.suffix}")
    yield unsent.take()


async def _rows(sessions: Sessions, part: Part) -> AsyncIterator[dict[str, Any]]:
    after: UUID | None = None
    while True:
        wanted = part.rows.add_columns(part.key.label(KEY)).order_by(part.key).limit(ROWS_AT_ONCE)
        if after is not None:
            wanted = wanted.where(part.key > after)
        async with sessions() as session:
            found = [dict(row) for row in (await session.execute(wanted)).mappings()]
        for row in found:
            after = row.pop(KEY)
            yield row
        if len(found) < ROWS_AT_ONCE:
            return


class _Unsent:
    """Where the archive is written to, and taken from to be sent."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def write(self, content: bytes) -> int:
        self._bytes += content
        return len(content)

    def flush(self) -> None:
        """There is nothing beneath."""

    def close(self) -> None:
        """What was written can still be taken."""

    def take(self) -> bytes:
        content = bytes(self._bytes)
        self._bytes.clear()
        return content
