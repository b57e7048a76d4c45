"""What the node knows of rights: in SQLite to keep it, in memory to ask it on every request.

A right is added to the file first, then to memory; it is taken from memory first. So at any moment, and after any
crash, memory allows no more than the file does. A revocation leaves its version behind: an answer that was on its
way when the right ended is older than that, and is not believed.
"""

from collections.abc import Callable, Iterable
from uuid import UUID

from cloud_service.access.models import Grant
from cloud_service.db import CACHE_TABLES, Database, Transaction
from cloud_service.videos.models import StoredVideo
from shared.contract import Change, TeacherAnswer

EPOCH, POSITION = "feed_epoch", "feed_position"


def _standing(user_id: str) -> str:
    """What a change of a teacher's standing is recorded under."""
    return f"teacher {user_id}"


class Rights:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._grants: dict[tuple[str, str], Grant] = {}
        self._teachers: dict[str, TeacherAnswer] = {}
        self.epoch: UUID | None = None
        self.position: int | None = None

    async def load(self) -> None:
        for row in await self._database.fetch("SELECT * FROM grants"):
            grant = Grant(**dict(row))
            self._grants[grant.user_id, grant.scope_id] = grant
        for row in await self._database.fetch("SELECT * FROM teachers"):
            self._teachers[row["user_id"]] = TeacherAnswer.model_validate_json(row["answer"])
        remembered = {row["name"]: row["value"] for row in await self._database.fetch("SELECT * FROM remembered")}
        self.epoch = UUID(remembered[EPOCH]) if EPOCH in remembered else None
        self.position = int(remembered[POSITION]) if POSITION in remembered else None

    def __len__(self) -> int:
        return len(self._grants)

    # --- grants -----------------------------------------------------------------------------------

    def grant_for(self, user_id: str, video: StoredVideo) -> Grant | None:
        """The grant that lets this user watch this video, if one is remembered."""
        return self._grants.get((user_id, video.course_id)) or self._grants.get((user_id, video.id))

    async def remember(self, grant: Grant) -> bool:
        """False when something newer than the grant has ended such rights: it is not kept, ask again."""
        async with self._database.transaction() as transaction:
            return await self.remember_in(transaction, grant)

    async def remember_in(self, transaction: Transaction, grant: Grant) -> bool:
        """As `remember`, within a transaction that does more."""
        marks = ", ".join("?" for _ in grant.scopes)
        newest = await transaction.fetch(f"SELECT max(version) FROM revocations WHERE scope IN ({marks})", grant.scopes)  # noqa: S608
        if (newest[0][0] or 0) > grant.version:
            return False
        is_news = await transaction.execute(
            "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, scope_id) DO UPDATE SET"
            " via = excluded.via, version = excluded.version WHERE excluded.version >= version",
            (grant.user_id, grant.scope_id, grant.course_id, grant.teacher_username, grant.via, grant.version),
        )

        def show() -> None:
            self._grants[grant.user_id, grant.scope_id] = grant

        if is_news:
            transaction.on_commit(show)
        return True

    async def end_course(self, course_id: str, teacher_username: str, version: int) -> None:
        """Every grant with this course id and teacher username goes."""

        def hide() -> None:
            self._hide(lambda grant: (grant.course_id, grant.teacher_username) == (course_id, teacher_username))

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)  # what was remembered since the first time
            await self._revoke(transaction, course_id, version)
            await transaction.execute(
                "DELETE FROM grants WHERE course_id = ? AND teacher_username = ?", (course_id, teacher_username)
            )

    # --- teachers ---------------------------------------------------------------------------------

    def teacher(self, user_id: str) -> TeacherAnswer | None:
        return self._teachers.get(user_id)

    async def remember_teacher(self, answer: TeacherAnswer) -> None:
        """Unless a change of this teacher that is newer than the answer was applied meanwhile."""
        user_id = str(answer.user_id)
        async with self._database.transaction() as transaction:
            newest = await transaction.fetch("SELECT version FROM revocations WHERE scope = ?", (_standing(user_id),))
            if newest and newest[0][0] > answer.version:
                return
            await transaction.execute(
                "INSERT OR REPLACE INTO teachers VALUES (?, ?)", (user_id, answer.model_dump_json())
            )
            transaction.on_commit(lambda: self._teachers.__setitem__(user_id, answer))

    async def forget_teacher(self, user_id: str) -> None:
        """The next question about this teacher goes to the VPS."""

        def hide() -> None:
            self._teachers.pop(user_id, None)

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)
            await transaction.execute("DELETE FROM teachers WHERE user_id = ?", (user_id,))

    # --- the changes feed ---------------------------------------------------------------------------

    async def apply(self, changes: Iterable[Change], epoch: UUID, position: int) -> None:
        """Apply changes and move on to `position` in one transaction; what ends is hidden at once."""
        changes = list(changes)

        def hide() -> None:
            for change in changes:
                self._hide_changed(change)

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)  # what was remembered since the first time
            for change in changes:
                await self._store_change(transaction, change)
            await self._store_position(transaction, epoch, position)

    async def reset(self, epoch: UUID, position: int) -> None:
        """Nothing that is cached can be trusted: drop it all and go on from `position`."""

        def hide() -> None:
            self._grants.clear()
            self._teachers.clear()

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)
            for table in CACHE_TABLES:
                await transaction.execute(f"DELETE FROM {table}")  # noqa: S608
            await self._store_position(transaction, epoch, position)

    async def _store_position(self, transaction: Transaction, epoch: UUID, position: int) -> None:
        for name, value in ((EPOCH, epoch), (POSITION, position)):
            await transaction.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (name, str(value)))

        def move() -> None:
            self.epoch, self.position = epoch, position

        transaction.on_commit(move)

    def _hide_changed(self, change: Change) -> None:
        user, course, video = (str(some) for some in (change.user_id, change.course_id, change.video_id))
        match change.kind:
            case "course_deleted":
                self._hide(lambda grant: grant.course_id == course)
                self._teachers = {
                    teacher: answer
                    for teacher, answer in self._teachers.items()
                    if change.course_id not in answer.courses
                }
            case "video_deleted":
                self._hide(lambda grant: grant.scope_id == video)
            case "teacher_verified":
                self._teachers.pop(user, None)
            case "key_granted":
                pass  # it is asked for when its holder first watches

    async def _store_change(self, transaction: Transaction, change: Change) -> None:
        user, course, video = (str(some) for some in (change.user_id, change.course_id, change.video_id))
        match change.kind:
            case "course_deleted":
                await transaction.execute("DELETE FROM grants WHERE course_id = ?", (course,))
                await transaction.execute("DELETE FROM teachers WHERE instr(answer, ?)", (course,))
                await self._revoke(transaction, course, change.number)
            case "video_deleted":
                await transaction.execute("DELETE FROM grants WHERE scope_id = ?", (video,))
                await self._revoke(transaction, video, change.number)
            case "teacher_verified":
                await transaction.execute("DELETE FROM teachers WHERE user_id = ?", (user,))
                await self._revoke(transaction, _standing(user), change.number)
            case "key_granted":
                pass  # it is asked for when its holder first watches

    def _hide(self, ends: Callable[[Grant], bool]) -> None:
        self._grants = {place: grant for place, grant in self._grants.items() if not ends(grant)}

    @staticmethod
    async def _revoke(transaction: Transaction, scope: str, version: int) -> None:
        await transaction.execute(
            "INSERT INTO revocations VALUES (?, ?) ON CONFLICT (scope) DO UPDATE SET version = excluded.version"
            " WHERE excluded.version > version",
            (scope, version),
        )
