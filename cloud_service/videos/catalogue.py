"""The videos on this node: rows in SQLite, and in memory for every request."""

from collections.abc import Iterator

from cloud_service.db import Database, Transaction
from cloud_service.videos.models import StoredVideo

COLUMNS = tuple(name for name in StoredVideo.__dataclass_fields__ if name != "etag")


class Catalogue:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._videos: dict[str, StoredVideo] = {}
        self._denied: set[str] = set()

    async def load(self) -> None:
        for row in await self._database.fetch(f"SELECT {', '.join(COLUMNS)} FROM videos"):  # noqa: S608
            self._videos[row["id"]] = StoredVideo(**dict(row))

    def get(self, video_id: str) -> StoredVideo | None:
        """The video, unless it is being deleted."""
        return None if video_id in self._denied else self._videos.get(video_id)

    def find(self, video_id: str) -> StoredVideo | None:
        """The video, also while it is being deleted: a deletion that failed half-way is taken up again."""
        return self._videos.get(video_id)

    def __iter__(self) -> Iterator[StoredVideo]:
        return iter(list(self._videos.values()))

    def __len__(self) -> int:
        return len(self._videos)

    def of_course(self, course_id: str) -> list[StoredVideo]:
        return [video for video in self if video.course_id == course_id]

    def of_lesson(self, lesson_id: str) -> StoredVideo | None:
        return next((video for video in self if video.lesson_id == lesson_id), None)

    async def add(self, transaction: Transaction, video: StoredVideo) -> None:
        """Shown once the transaction is committed."""
        marks = ", ".join("?" for _ in COLUMNS)
        values = [getattr(video, name) for name in COLUMNS]
        await transaction.execute(f"INSERT INTO videos ({', '.join(COLUMNS)}) VALUES ({marks})", values)  # noqa: S608
        transaction.on_commit(lambda: self._videos.__setitem__(video.id, video))

    async def remove(self, video: StoredVideo) -> None:
        """Denied at once, then its row goes; that it was deleted stays, so that deleting again is known."""

        def forget() -> None:
            self._videos.pop(video.id, None)
            self._denied.discard(video.id)

        self._denied.add(video.id)
        async with self._database.transaction(durable=True) as transaction:
            transaction.on_commit(forget)
            await transaction.execute("INSERT OR IGNORE INTO deleted_videos VALUES (?, ?)", (video.id, video.owner_id))
            await transaction.execute("DELETE FROM videos WHERE id = ?", (video.id,))

    async def was_deleted_by(self, video_id: str, owner_id: str) -> bool:
        wanted = "SELECT 1 FROM deleted_videos WHERE id = ? AND owner_id = ?"
        return bool(await self._database.fetch(wanted, (video_id, owner_id)))
