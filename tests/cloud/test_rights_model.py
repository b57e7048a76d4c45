"""After any sequence of answers, changes, resets, restarts: memory is the file, and both are as a plain model has it.

The model knows of no index, no halves and no order of steps: a set of grants, and every change that ever ended some.
"""

import asyncio
import tempfile
from pathlib import Path
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cloud_service.access.models import ANY, Grant, Scope
from cloud_service.access.rights import ADDS_ONLY, GRANTED, Rights
from cloud_service.db import Database
from shared.contract import Change
from tests.cloud.chance import UNHURRIED
from tests.cloud.things import MARK, position, standing, video, viewer

USERS, COURSES, VIDEOS, EPOCHS = ([UUID(int=place + 100 * kind) for place in (1, 2, 3)] for kind in range(4))
COURSE_OF = dict(zip(VIDEOS, [COURSES[0], COURSES[0], COURSES[1]], strict=True))
TEACHER = USERS[2]
KINDS = ["key_refunded", "user_signed_out", "course_deleted", "of a later release", *ADDS_ONLY]

users = st.sampled_from(USERS)
videos = st.sampled_from(VIDEOS)
generations = st.integers(0, 2)
lags = st.integers(0, 6)
"""How many changes older than the newest an answer is."""


class Model:
    def __init__(self) -> None:
        self.epoch, self.number = EPOCHS[0], 0
        self.grants: dict[Scope, Grant] = {}
        self.ended: list[tuple[Scope, int]] = []
        self.standing: tuple[int, int] | None = None
        """The generation and the number of what is remembered of the teacher."""

    def believes(self, scopes: list[Scope], number: int, epoch: UUID) -> bool:
        return epoch == self.epoch and not any(
            ended.covers(scope) and at > number for ended, at in self.ended for scope in scopes
        )

    def end(self, scope: Scope, at: int, *, teacher_courses: list[UUID]) -> None:
        self.ended.append((scope, at))
        self.grants = {place: grant for place, grant in self.grants.items() if not scope.covers(place)}
        about = {*scope[:2]} - {ANY}
        if scope == Scope(ANY, ANY, ANY) or about & {str(TEACHER), *map(str, teacher_courses)}:
            self.standing = None

    def give_key(self, scope: Scope, at: int) -> None:
        """Their previews of the course give way to it."""
        self.ended.append((Scope(scope.user_id, scope.course_id, ANY), at))
        ended = {place for place in self.grants if place[:2] == scope[:2] and place.video_id != ANY}
        self.grants = {place: grant for place, grant in self.grants.items() if place not in ended}


class RightsMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.model = Model()

    @initialize()
    def start(self) -> None:
        self.database = self.loop.run_until_complete(Database.open(Path(self.folder.name) / "node.sqlite3"))
        self.rights = Rights(self.database)
        self.loop.run_until_complete(self.rights.reset(position(0, EPOCHS[0]), MARK))

    def teardown(self) -> None:
        self.loop.run_until_complete(self.database.close())
        self.loop.close()
        self.folder.cleanup()

    # --- what happens -----------------------------------------------------------------------------------

    @rule(
        user=users, video_id=videos, generation=generations, lag=lags, preview=st.booleans(), other_epoch=st.booleans()
    )
    def an_answer_allows(
        self, user: UUID, video_id: UUID, generation: int, lag: int, preview: bool, other_epoch: bool
    ) -> None:
        scope = Scope(str(user), str(COURSE_OF[video_id]), str(video_id) if preview else ANY)
        number, epoch = max(0, self.model.number - lag), EPOCHS[2] if other_epoch else self.model.epoch
        grant = Grant(scope, "omar", "preview" if preview else "key", number, generation)
        believed = self.model.believes([scope], number, epoch)
        assert self.loop.run_until_complete(self.rights.remember(grant, epoch)) == believed
        known = self.model.grants.get(scope)
        is_news = known is None or (known.version <= number and known.generation <= generation)
        if believed and is_news:
            self.model.grants[scope] = grant

    @rule(generation=generations, lag=lags)
    def a_standing_is_told(self, generation: int, lag: int) -> None:
        number = max(0, self.model.number - lag)
        answer = standing(number, tuple(COURSES[:2]), user_id=TEACHER, as_of=position(number, self.model.epoch))
        self.loop.run_until_complete(self.rights.remember_standing(viewer(TEACHER, generation), answer))
        scopes = [Scope(str(TEACHER), str(course), ANY) for course in COURSES[:2]]
        known = self.model.standing
        if self.model.believes(scopes, number, self.model.epoch) and (known is None or known[1] <= number):
            self.model.standing = (generation, number)

    @rule(
        about=st.lists(
            st.tuples(
                st.sampled_from(KINDS),
                st.none() | users,
                st.none() | st.sampled_from(COURSES),
                st.none() | videos,
            ),
            min_size=1,
            max_size=4,
        )
    )
    def changes_are_applied(self, about: list[tuple[str, UUID | None, UUID | None, UUID | None]]) -> None:
        first = self.model.number + 1
        changes = [
            Change(number=number, kind=kind, user_id=user, course_id=course, video_id=video_id)
            for number, (kind, user, course, video_id) in enumerate(about, start=first)
        ]
        self.model.number += len(changes)
        at = position(self.model.number, self.model.epoch)
        self.loop.run_until_complete(self.rights.apply(changes, at, MARK))
        for change in changes:
            if change.kind == GRANTED and change.user_id and change.course_id:
                self.model.give_key(Scope.of_change(change), change.number)
            if change.kind not in ADDS_ONLY:
                self.model.end(Scope.of_change(change), change.number, teacher_courses=COURSES[:2])

    @rule(course=st.sampled_from(COURSES), ahead=st.integers(0, 2))
    def a_course_is_deleted_here(self, course: UUID, ahead: int) -> None:
        """The answer is newer than the feed's last pull, at times."""
        number = self.model.number + ahead
        self.loop.run_until_complete(self.rights.end_course(str(course), position(number, self.model.epoch)))
        self.model.end(Scope(ANY, str(course), ANY), number, teacher_courses=COURSES[:2])

    @rule(forward=st.integers(-3, 3), restored=st.booleans())
    def everything_is_reset(self, forward: int, restored: bool) -> None:
        if restored:
            self.model.epoch = EPOCHS[1] if self.model.epoch == EPOCHS[0] else EPOCHS[0]
        else:
            forward = abs(forward)
        self.model.number = max(0, self.model.number + forward)
        at = position(self.model.number, self.model.epoch)
        self.loop.run_until_complete(self.rights.reset(at, MARK))
        self.model.grants, self.model.standing = {}, None
        self.model.ended = [(Scope(ANY, ANY, ANY), self.model.number)]

    @rule()
    def the_teacher_is_forgotten(self) -> None:
        self.loop.run_until_complete(self.rights.forget_standing(str(TEACHER)))
        self.model.standing = None

    @precondition(lambda self: self.model.grants)
    @rule(place=st.integers(0, 20))
    def a_grant_is_found_wrong(self, place: int) -> None:
        grant = list(self.model.grants.values())[place % len(self.model.grants)]
        assert self.rights.holds(grant)
        self.loop.run_until_complete(self.rights.end([grant.scope], grant.version))
        self.model.end(grant.scope, grant.version, teacher_courses=COURSES[:2])

    @rule()
    def the_node_restarts(self) -> None:
        """No answer was on its way any more, so that nobody has to remember what ended."""
        self.rights = Rights(self.database)
        self.loop.run_until_complete(self.rights.load())
        self.model.ended = []

    # --- what always holds --------------------------------------------------------------------------------

    @invariant()
    def memory_is_the_model(self) -> None:
        assert {grant.scope: grant for grant in self.rights.all_grants()} == self.model.grants
        assert len(self.rights) == len(self.model.grants)
        assert self.rights.position == position(self.model.number, self.model.epoch)
        told = {generation for generation in range(3) if self.rights.standing(viewer(TEACHER, generation))}
        assert told == ({self.model.standing[0]} if self.model.standing else set())

    @invariant()
    def the_file_is_the_memory(self) -> None:
        stored = Rights(self.database)
        self.loop.run_until_complete(stored.load())
        for name in ("_grants", "_standings", "position", "mark"):
            assert vars(stored)[name] == vars(self.rights)[name], name

    @invariant()
    def whatever_is_remembered_is_found_by_who_it_is_for(self) -> None:
        for user in USERS:
            for video_id, course in COURSE_OF.items():
                found = self.rights.grant_for(str(user), video(course=course, video_id=video_id))
                of_course = self.model.grants.get(Scope(str(user), str(course), ANY))
                of_video = self.model.grants.get(Scope(str(user), str(course), str(video_id)))
                assert found == (of_course or of_video)


RightsMachine.TestCase.settings = settings(UNHURRIED, max_examples=30, stateful_step_count=25)
TestRights = RightsMachine.TestCase
