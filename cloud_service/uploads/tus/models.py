"""An upload that can be resumed: its row, and what this process remembers beside it."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

from uuid_utils.compat import uuid7

from cloud_service.access.permits import Permit
from cloud_service.uploads.tus.headers import metadata_of
from cloud_service.uploads.tus.turns import Turns

if TYPE_CHECKING:
    from hashlib import _Hash as Digest

COLUMNS = ("id", "owner_id", "length", "metadata", "created_at", "sure_bytes", "idempotency_key")


@dataclass(slots=True, eq=False)
class ResumableUpload:
    """Sizes in bytes, `created_at` in Unix seconds. `id` is the later video's.

    How far it is, its part tells; of that only the first `sure_bytes` count as long as the rest is being checked.
    """

    id: str
    owner_id: str
    length: int
    metadata: str
    created_at: int
    sure_bytes: int | None = None
    idempotency_key: str | None = None
    turns: Turns = field(default_factory=Turns)
    digest: "Digest | None" = None
    """SHA-256 of the part; None when it has to be read for that."""
    permit: Permit | None = None
    """None when the VPS has to be asked before it goes on."""
    is_synced: bool = True
    """False for a part of before the start, which the system may not have written to the disk yet."""

    @property
    def is_practice(self) -> bool:
        return metadata_of(self.metadata).get("kind") == "practice"

    @classmethod
    def begun(cls, owner_id: str, length: int, metadata: str, key: str | None) -> Self:
        upload_id, now = str(uuid7()), int(time.time())
        return cls(upload_id, owner_id, length, metadata, now, idempotency_key=key, digest=hashlib.sha256())

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Raises KeyError, ValueError for one that makes no sense."""
        return cls(**{name: row[name] for name in COLUMNS}, is_synced=False)

    @classmethod
    def from_json(cls, content: bytes) -> Self:
        """Raises KeyError, TypeError, ValueError for what makes no sense."""
        return cls.from_row(json.loads(content))

    def to_json(self) -> bytes:
        """Its row as it was begun."""
        return json.dumps(dict(zip(COLUMNS, replace(self, sure_bytes=None).to_row(), strict=True))).encode()

    def to_row(self) -> tuple[Any, ...]:
        """The values of `COLUMNS`."""
        return tuple(getattr(self, name) for name in COLUMNS)
