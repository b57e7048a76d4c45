"""What the node knows of rights: in SQLite to keep it, in memory to ask it on every request.

A right is added to the file first, then to memory; it is taken from memory first. So at any moment, and after any
crash, memory allows no more than the file does. What ended leaves its version behind: an answer that was on its way
meanwhile is older than that, and is not believed.
"""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

from cloud_service.access.models import ANY, EVERYTHING, Grant, Scope
from cloud_service.db import CACHE_TABLES, Database, Transaction
from cloud_service.videos.models import StoredVideo
from shared.contract import Change, TeacherAnswer

EPOCH, POSITION = "feed_epoch", "feed_position"
ADDS_ONLY = ("key_granted",)
"""Changes that end nothing; a new right is asked for when its holder first watches."""


class Rights:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._grants: dict[tuple[str, str], Grant] = {}
        self._teachers: dict[str, TeacherAnswer] = {}
        self.epoch: UUID | None = None
        self.position: int | None = None

    async def load(self) -> None:
        for row in await self._database.fetch("SELECT * FROM grants"):
            scope = Scope(row["user_id"], row["course_id"], row["video_id"])
            grant = Grant(scope, row["teacher_username"], row["via"], row["version"])
            self._grants[grant.place] = grant
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
        scope = grant.scope
        if await _ended_at(transaction, scope.user_id, [scope.course_id], scope.video_id) > grant.version:
            return False
        is_news = await transaction.execute(
            "INSERT INTO grants VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, course_id, video_id) DO UPDATE SET"
            " via = excluded.via, version = excluded.version WHERE excluded.version >= version",
            (scope.user_id, scope.course_id, scope.video_id, grant.teacher_username, grant.via, grant.version),
        )
        if is_news:
            transaction.on_commit(lambda: self._grants.__setitem__(grant.place, grant))
        return True

    async def end_course(self, course_id: str, teacher_username: str, version: int) -> None:
        """Every grant with this course id and teacher username goes."""

        def hide() -> None:
            self._grants = {
                place: grant
                for place, grant in self._grants.items()
                if (grant.scope.course_id, grant.teacher_username) != (course_id, teacher_username)
            }

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)  # what was remembered since the first time
            await _mark_ended(transaction, Scope(ANY, course_id, ANY), version)
            await transaction.execute(
                "DELETE FROM grants WHERE course_id = ? AND teacher_username = ?", (course_id, teacher_username)
            )

    # --- teachers ---------------------------------------------------------------------------------

    def teacher(self, user_id: str) -> TeacherAnswer | None:
        return self._teachers.get(user_id)

    async def remember_teacher(self, answer: TeacherAnswer) -> None:
        """Unless a change newer than the answer is about this teacher or one of their courses."""
        user_id = str(answer.user_id)
        courses = [str(course) for course in answer.courses]
        async with self._database.transaction() as transaction:
            if await _ended_at(transaction, user_id, courses, ANY) > answer.version:
                return
            known = self._teachers.get(user_id)
            if known is None or known.version <= answer.version:
                remembered = "INSERT OR REPLACE INTO teachers VALUES (?, ?)"
                await transaction.execute(remembered, (user_id, answer.model_dump_json()))
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
        """Forget whatever the changes are about, and move on to `position`, in one transaction.

        A change is about every grant that has all the ids it names, whatever kind of change it is: an older node
        understands the changes of a newer VPS.
        """
        ended = {Scope.of_change(change): change.number for change in changes if change.kind not in ADDS_ONLY}
        self._hide(ended)
        async with self._database.transaction() as transaction:
            transaction.on_commit(lambda: self._hide(ended))  # what was remembered since the first time
            for scope, number in ended.items():
                await _mark_ended(transaction, scope, number)
                await transaction.execute(
                    "DELETE FROM grants WHERE ?1 IN ('', user_id) AND ?2 IN ('', course_id) AND ?3 IN ('', video_id)",
                    scope,
                )
                await transaction.execute(
                    "DELETE FROM teachers WHERE user_id = ?1 OR (?2 <> '' AND instr(answer, ?2))"
                    " OR (?1 = '' AND ?2 = '' AND ?3 = '')",
                    scope,
                )
            await self._store_position(transaction, epoch, position)

    async def reset(self, epoch: UUID, position: int) -> None:
        """Nothing that is cached can be trusted: drop it all, believe nothing older, and go on from `position`."""
        everything = {EVERYTHING: position}
        self._hide(everything)
        async with self._database.transaction() as transaction:
            transaction.on_commit(lambda: self._hide(everything))
            for table in CACHE_TABLES:
                await transaction.execute(f"DELETE FROM {table}")  # noqa: S608
            await _mark_ended(transaction, EVERYTHING, position)
            await self._store_position(transaction, epoch, position)

    async def _store_position(self, transaction: Transaction, epoch: UUID, position: int) -> None:
        for name, value in ((EPOCH, epoch), (POSITION, position)):
            await transaction.execute("INSERT OR REPLACE INTO remembered VALUES (?, ?)", (name, str(value)))

        def move() -> None:
            self.epoch, self.position = epoch, position

        transaction.on_commit(move)

    def _hide(self, ended: Collection[Scope]) -> None:
        """In one pass over what is remembered, however many scopes have ended."""
        shapes = {tuple(map(bool, scope)) for scope in ended}
        users, courses = {scope.user_id for scope in ended}, {scope.course_id for scope in ended}

        def is_over(scope: Scope) -> bool:
            return any(
                Scope(*(part if named else ANY for part, named in zip(scope, shape, strict=True))) in ended
                for shape in shapes
            )

        self._grants = {place: grant for place, grant in self._grants.items() if not is_over(grant.scope)}
        self._teachers = {
            user_id: answer
            for user_id, answer in self._teachers.items()
            if EVERYTHING not in ended and user_id not in users and courses.isdisjoint(map(str, answer.courses))
        }


async def _ended_at(transaction: Transaction, user_id: str, course_ids: Sequence[str], video_id: str) -> int:
    """The version of the newest change about any of these, 0 when there was none."""
    marks = ", ".join("?" for _ in (ANY, *course_ids))
    rows = await transaction.fetch(
        "SELECT max(version) AS newest FROM ended"  # noqa: S608
        f" WHERE user_id IN ('', ?) AND course_id IN ({marks}) AND video_id IN ('', ?)",
        (user_id, ANY, *course_ids, video_id),
    )
    return rows[0]["newest"] or 0


async def _mark_ended(transaction: Transaction, scope: Scope, version: int) -> None:
    await transaction.execute(
        "INSERT INTO ended VALUES (?, ?, ?, ?) ON CONFLICT (user_id, course_id, video_id)"
        " DO UPDATE SET version = excluded.version WHERE excluded.version > version",
        (*scope, version),
    )
