"""What the node knows of rights: in SQLite to keep it, in memory to ask it on every request.

A right is added to the file first, then to memory; it is taken from memory first. So at any moment, and after any
crash, memory allows no more than the file does. What ended is marked with its version: an answer that was on its way
meanwhile is older than that, and is not believed.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from uuid import UUID

from cloud_service.access.grants import Grants
from cloud_service.access.marks import Marks
from cloud_service.access.models import ANY, EVERYTHING, Grant, Scope, Viewer
from cloud_service.access.permits import Permit, Permits
from cloud_service.access.refusals import Refusals
from cloud_service.access.sessions import DOUBTED_SINCE, ENDED, Sessions, ended_by
from cloud_service.db import Database, Transaction
from cloud_service.schema import CACHE_TABLES
from cloud_service.videos.models import StoredVideo
from shared.contract import AccessAnswer, Change, Position, StandingAnswer
from shared.killpoints import killpoint

EPOCH, NUMBER, MARK = "feed_epoch", "feed_position", "feed_mark"
GRANTED = "key_granted"
ADDS_ONLY = (GRANTED, "course_published", "user_activated", "video_shared", "playback_moved", ENDED)
"""Changes that end no right; a new one is asked for when its holder first watches. A session's end ends its tokens.

A key is worth more than the previews that its holder had before, which make room for it.
"""


def ends_rights(change: Change) -> bool:
    return change.kind not in ADDS_ONLY


class Rights:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._grants = Grants()
        self._standings: dict[str, tuple[int, StandingAnswer]] = {}
        self._ended, self._changed = Marks(), Marks()
        self._refusals = Refusals()
        self._permits = Permits()
        self.sessions = Sessions()
        self.position: Position | None = None
        self.mark: UUID | None = None

    async def load(self) -> None:
        for row in await self._database.fetch("SELECT * FROM grants"):
            scope = Scope(row["user_id"], row["course_id"], row["video_id"])
            about = (row["teacher_username"], row["via"], row["version"], row["generation"])
            self._grants.add(Grant(scope, *about, may_download=bool(row["may_download"])))
        for row in await self._database.fetch("SELECT * FROM teachers"):
            standing = StandingAnswer.model_validate_json(row["answer"])
            self._standings[row["user_id"]] = (row["generation"], standing)
        remembered = {row["name"]: row["value"] for row in await self._database.fetch("SELECT * FROM remembered")}
        if EPOCH in remembered:
            self.position = Position(epoch=UUID(remembered[EPOCH]), number=int(remembered[NUMBER]))
            self.mark = UUID(remembered[MARK])
            ended, confirmed = [
                [row["id"] for row in await self._database.fetch(f"SELECT id FROM {table}")]  # noqa: S608
                for table in ("ended_sessions", "confirmed_sessions")
            ]
            self.sessions.load(ended, confirmed, remembered.get(DOUBTED_SINCE))
        else:
            self.sessions.doubt_all()

    def __len__(self) -> int:
        return len(self._grants)

    def all_grants(self) -> list[Grant]:
        return list(self._grants)

    def lets_in(self, viewer: Viewer, as_of: Position) -> None:
        """The VPS has answered who came with this session; unless it is an answer of before, they go on with it."""
        if self.believes(as_of, viewer.id, (), ANY):
            self.sessions.confirm(viewer.session_id)

    def permit(self, viewer: Viewer, as_of: Position, *, to_teach: bool) -> Permit:
        """For an upload that the VPS has just allowed; what was heard of meanwhile counts."""
        permit = Permit(viewer, as_of, to_teach=to_teach)
        permit.in_doubt = not self.believes(as_of, viewer.id, (), ANY)
        if self.sessions.have_ended(viewer.session_id):
            permit.end("signed_out")
        self._permits.add(permit)
        return permit

    # --- grants -----------------------------------------------------------------------------------

    def grant_for(self, user_id: str, video: StoredVideo) -> Grant | None:
        """The grant that lets this user watch this video, if one is remembered."""
        return self._grants.get(user_id, video.course_id, video.id)

    def holds(self, grant: Grant) -> bool:
        """Whether this very grant is still remembered."""
        return self._grants.find(grant.scope) == grant

    def refusal(self, user_id: str, generation: int, video_id: str, *, after: int) -> AccessAnswer | None:
        """A refusal of a moment ago, unless it is older than change `after`, or than one that was heard of since."""
        refusal = self._refusals.get(user_id, generation, video_id)
        if refusal is None or refusal.answer.as_of.number < max(after, self._changed_at(refusal.scope)):
            return None
        return refusal.answer

    def remember_refusal(self, scope: Scope, generation: int, answer: AccessAnswer) -> bool:
        """False when a change about this was heard of that the answer does not reflect: perhaps the key itself."""
        if self._changed_at(scope) > answer.as_of.number:
            return False
        self._refusals.add(scope, generation, answer)
        return True

    def _changed_at(self, scope: Scope) -> int:
        return self._changed.at(scope.user_id, [scope.course_id], scope.video_id)

    def believes(self, as_of: Position, user_id: str, course_ids: Iterable[str], video_id: str) -> bool:
        """Whether nothing newer than the answer has ended such rights; if it has, ask again."""
        if self.position is None:
            return True
        return as_of.epoch == self.position.epoch and self._ended.at(user_id, course_ids, video_id) <= as_of.number

    def reflects(self, as_of: Position, course_id: str) -> bool:
        """Whether nothing newer than the answer is known about the course as a whole."""
        if self.position is None:
            return True
        return as_of.epoch == self.position.epoch and self._changed.at(ANY, [course_id], ANY) <= as_of.number

    async def remember(self, grant: Grant, epoch: UUID) -> bool:
        """False when it is not believed."""
        async with self._database.transaction() as transaction:
            return await self.remember_in(transaction, grant, epoch)

    def admit(self, grant: Grant, epoch: UUID) -> bool:
        """As `remember`, in memory only: for a file that cannot be written right now. What ends, ends there too."""
        scope, as_of = grant.scope, Position(epoch=epoch, number=grant.version)
        if not self.believes(as_of, scope.user_id, [scope.course_id], scope.video_id):
            return False
        known = self._grants.find(scope)
        if known is None or (known.version, known.generation) <= (grant.version, grant.generation):
            self._grants.add(grant)
        return True

    async def remember_in(self, transaction: Transaction, grant: Grant, epoch: UUID) -> bool:
        """As `remember`, within a transaction that does more. Before the first pull it is for memory only."""
        scope, as_of = grant.scope, Position(epoch=epoch, number=grant.version)
        if self.position is None:
            return self.admit(grant, epoch)
        if not self.believes(as_of, scope.user_id, [scope.course_id], scope.video_id):
            return False
        is_news = await transaction.execute(
            "INSERT INTO grants"
            " (user_id, course_id, video_id, teacher_username, via, version, generation, may_download) VALUES"
            " (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, course_id, video_id) DO UPDATE SET"
            " teacher_username = excluded.teacher_username, via = excluded.via, version = excluded.version,"
            " generation = excluded.generation, may_download = excluded.may_download"
            " WHERE excluded.version >= version AND excluded.generation >= generation",
            (*scope, grant.teacher_username, grant.via, grant.version, grant.generation, grant.may_download),
        )
        if is_news:
            transaction.on_commit(lambda: self._grants.add(grant))
        await self.sessions.confirm_in(transaction)
        return True

    async def end_course(self, course_id: str, as_of: Position) -> None:
        """Every grant to the course goes; its teacher has deleted it."""
        await self.end([Scope(ANY, course_id, ANY)], as_of.number, [course_id])

    async def end(self, scopes: Sequence[Scope], version: int, deleted_courses: Iterable[str] = ()) -> None:
        """Whatever these cover was found to have ended, and nothing up to `version` brings it back."""
        ended = [(scope, version) for scope in scopes]
        hidden = self._hide(ended)
        async with self._database.transaction() as transaction:
            hidden |= self._hide(ended)  # what was remembered since the first time
            await _end_in(transaction, scopes, hidden)
            await _bury(transaction, deleted_courses)

    # --- teachers ---------------------------------------------------------------------------------

    def standing(self, viewer: Viewer) -> StandingAnswer | None:
        """What is remembered of a teacher, if it was told to a token of this generation."""
        generation, standing = self._standings.get(viewer.id, (None, None))
        if generation != viewer.generation or self.sessions.doubts(viewer.session_id):
            return None
        return standing

    async def remember_standing(self, viewer: Viewer, answer: StandingAnswer) -> None:
        """Unless a change newer than the answer is about this teacher or one of their courses."""
        courses = [str(course) for course in answer.courses]
        async with self._database.transaction() as transaction:
            if self.position is None or not self.believes(answer.as_of, viewer.id, courses, ANY):
                return
            await self.sessions.confirm_in(transaction)
            _, known = self._standings.get(viewer.id, (0, answer))
            if known.as_of.number <= answer.as_of.number:
                remembered = "INSERT OR REPLACE INTO teachers (user_id, generation, answer) VALUES (?, ?, ?)"
                await transaction.execute(remembered, (viewer.id, viewer.generation, answer.model_dump_json()))
                transaction.on_commit(
                    lambda: self._standings.__setitem__(viewer.id, (viewer.generation, answer)),
                )

    async def forget_standing(self, user_id: str) -> None:
        """The next question about this teacher goes to the VPS."""

        def hide() -> None:
            self._standings.pop(user_id, None)

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)
            await transaction.execute("DELETE FROM teachers WHERE user_id = ?", (user_id,))

    # --- the changes feed ---------------------------------------------------------------------------

    async def apply(self, changes: Sequence[Change], position: Position, mark: UUID) -> None:
        """Forget whatever the changes are about, and move on to `position`, in one transaction.

        A change is about every grant that has all the ids it names, whatever kind of change it is: an older node
        understands the changes of a newer VPS.
        """
        teachers = self.hear(changes)
        async with self._database.transaction() as transaction:
            teachers |= self.hear(changes)  # what was remembered since the first time
            await _end_in(transaction, [Scope.of_change(one) for one in changes if ends_rights(one)], teachers)
            await _end_previews_in(transaction, _keys(changes))
            await _bury(transaction, {str(one.course_id) for one in changes if one.kind == "course_deleted"})
            await self.sessions.end_in(transaction, ended_by(changes))
            killpoint("feed.half_applied")
            await self._store_position(transaction, position, mark)

    def hear(self, changes: Sequence[Change]) -> set[str]:
        """From now on memory allows nothing that these have ended; the teachers who have to be asked about anew."""
        self.sessions.end(ended_by(changes))
        self._permits.hear(changes)
        self._changed.mark((Scope.of_change(change), change.number) for change in changes)
        keys = _keys(changes)
        self._ended.mark(keys)  # or a preview's answer that is on its way would hide the key
        for scope, _ in keys:
            self._grants.end_of_one_video(scope.user_id, scope.course_id)
        return self._hide([(Scope.of_change(change), change.number) for change in changes if ends_rights(change)])

    async def reset(
        self, position: Position, mark: UUID, within: Callable[[Transaction], Awaitable[None]] | None = None
    ) -> None:
        """Nothing that is cached can be trusted: drop it all, believe nothing older, and go on from `position`.

        `within` the same transaction others do what such a break means to them.
        """

        is_first = self.position is None

        def hide() -> None:
            self._ended.mark_everything(position.number)
            self._changed.mark_everything(position.number)
            self._refusals.clear()
            self.sessions.doubt_all()
            self._permits.doubt_all(but_as_of=position if is_first else None)
            self._grants = Grants()
            self._standings = {}

        hide()
        async with self._database.transaction() as transaction:
            transaction.on_commit(hide)
            if within:
                await within(transaction)
            for table in CACHE_TABLES:
                await transaction.execute(f"DELETE FROM {table}")  # noqa: S608
            await self.sessions.doubt_in(transaction)
            killpoint("feed.reset")
            await self._store_position(transaction, position, mark)

    async def _store_position(self, transaction: Transaction, position: Position, mark: UUID) -> None:
        await transaction.execute_many(
            "INSERT OR REPLACE INTO remembered (name, value) VALUES (?, ?)",
            [(EPOCH, str(position.epoch)), (NUMBER, str(position.number)), (MARK, str(mark))],
        )

        def move() -> None:
            self.position, self.mark = position, mark

        transaction.on_commit(move)

    def _hide(self, ended: Sequence[tuple[Scope, int]]) -> set[str]:
        """The teachers who have to be asked about anew."""
        self._ended.mark(ended)
        scopes = [scope for scope, _ in ended]
        self._grants.end(scopes)
        users, courses = {scope.user_id for scope in scopes}, {scope.course_id for scope in scopes}
        concerned = {
            user_id
            for user_id, (_, standing) in self._standings.items()
            if EVERYTHING in scopes or user_id in users or not courses.isdisjoint(map(str, standing.courses))
        }
        for user_id in concerned:
            del self._standings[user_id]
        return concerned


async def _bury(transaction: Transaction, course_ids: Iterable[str]) -> None:
    """An upload into a deleted course may still be on its way, and must find that out."""
    buried = [(course_id,) for course_id in course_ids]
    await transaction.execute_many("INSERT OR IGNORE INTO deleted_courses (id) VALUES (?)", buried)


def _keys(changes: Iterable[Change]) -> list[tuple[Scope, int]]:
    """To which whole courses users were given keys, and by which changes."""
    return [
        (Scope(str(change.user_id), str(change.course_id), ANY), change.number)
        for change in changes
        if change.kind == GRANTED and change.user_id and change.course_id
    ]


async def _end_previews_in(transaction: Transaction, keys: Iterable[tuple[Scope, int]]) -> None:
    """Of those who have the keys now."""
    ended = [(scope.user_id, scope.course_id) for scope, _ in keys]
    await transaction.execute_many("DELETE FROM grants WHERE user_id = ? AND course_id = ? AND video_id != ''", ended)


async def _end_in(transaction: Transaction, scopes: Sequence[Scope], teachers: Iterable[str]) -> None:
    """By the ids that are named, so that each is found by an index and not by looking at every row."""
    by_shape: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for scope in scopes:
        named = tuple(column for column, value in zip(Scope._fields, scope, strict=True) if value != ANY)
        by_shape.setdefault(named, []).append(tuple(value for value in scope if value != ANY))
    for named, values in by_shape.items():
        condition = " AND ".join(f"{column} = ?" for column in named) or "true"
        await transaction.execute_many(f"DELETE FROM grants WHERE {condition}", values)  # noqa: S608
    await transaction.execute_many("DELETE FROM teachers WHERE user_id = ?", [(teacher,) for teacher in teachers])
