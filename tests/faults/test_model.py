"""Whatever happens in whatever order: a model of who may watch what, and the product, agree.

A short run, always the same, is part of the suite; `make soak` runs on with other seeds, and says which one failed.
"""

import os
import random
import time
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from tests.both.people import Course, Person, done, draft_course, followers_of, make_student, make_teacher
from tests.both.toptank import FOLLOWERS_REQUIRED, eventually
from tests.faults.acts import Cast, Purchase, buy, sign_in_again, written_down
from tests.faults.audit import audit
from tests.faults.link import Link
from tests.faults.model import Reach, Right, check_answer
from tests.faults.world import World

MINUTES, SEED = "TOPTANK_TEST_SOAK_MINUTES", "TOPTANK_TEST_SOAK_SEED"
STUDENTS, COURSES = 3, 2
students, courses = st.integers(0, STUDENTS - 1), st.integers(0, COURSES - 1)
CUTS: dict[str, Callable[[Link], None]] = {
    "silent": Link.cut,
    "loud": Link.refuse,
    "to the VPS": lambda link: link.cut("to_vps"),
    "to the node": lambda link: link.cut("to_node"),
}


class Viewer:
    """A student: the token they have now, what they bought, and everything they, or a token of theirs, ever could."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.is_banned = False
        self.bought: dict[int, tuple[Purchase, Right]] = {}
        self.claims: list[tuple[int, Purchase, Right]] = []

    def end_token(self) -> None:
        for _, _, right in self.claims:
            right.end()


class Product(RuleBasedStateMachine):
    """The steps that Hypothesis chooses from. `world` and `cast` are set by whoever runs it."""

    world: ClassVar[World]
    cast: ClassVar[Cast]

    @initialize()
    def people_and_courses(self) -> None:
        self.reach = Reach()
        self.viewers = [Viewer(make_student(self.world)) for _ in range(STUDENTS)]
        self.courses: list[Course | None] = []
        self.videos: list[str] = []
        self.teacher, self.is_verified, self.followers = make_teacher(self.world, followers=0), False, 0
        self.upload_course = draft_course(self.world, self.teacher)
        for _ in range(COURSES):
            course, video_id = self.cast.course_on_sale()
            self.courses.append(course)
            self.videos.append(video_id)
        self.wait_until_synced()

    def teardown(self) -> None:
        if hasattr(self, "reach"):
            self.world.heal()
            audit(self.world, self.cast)

    def wait_until_synced(self) -> None:
        """Nothing later is refused for want of news: whoever owns a course can watch it."""
        eventually(lambda: all(self.cast.teacher.watch(video).status_code in (200, 404) for video in self.videos))

    # --- rights begin and end ---------------------------------------------------------------------------

    @precondition(lambda self: self.reach.vps_is_up)
    @rule(number=students, which=courses)
    def buy(self, number: int, which: int) -> None:
        viewer, course = self.viewers[number], self.courses[which]
        if course is None or viewer.is_banned or which in viewer.bought:
            return
        purchase, right = buy(self.world, viewer.person, course), Right()
        viewer.bought[which] = (purchase, right)
        viewer.claims.append((which, purchase, right))

    @precondition(lambda self: self.reach.vps_is_up)
    @rule(number=students, which=courses)
    def refund(self, number: int, which: int) -> None:
        viewer = self.viewers[number]
        if self.courses[which] is None or which not in viewer.bought:
            return
        purchase, _ = viewer.bought.pop(which)
        self.cast.refund(purchase)
        for bought, _, right in viewer.claims:
            if bought == which:
                right.end()

    @precondition(lambda self: self.reach.vps_is_up)
    @rule(number=students)
    def ban(self, number: int) -> None:
        viewer = self.viewers[number]
        self.cast.ban(viewer.person)
        viewer.is_banned = True
        viewer.end_token()

    @precondition(lambda self: self.reach.vps_is_up)
    @rule(number=students)
    def activate_and_sign_in(self, number: int) -> None:
        viewer = self.viewers[number]
        if viewer.is_banned:
            self.cast.activate(viewer.person)
            viewer.is_banned = False
            self.sign_in(viewer)

    @precondition(lambda self: self.reach.vps_is_up)
    @rule(number=students)
    def sign_out_everywhere(self, number: int) -> None:
        viewer = self.viewers[number]
        if not viewer.is_banned:
            self.cast.sign_out_everywhere(viewer.person)
            viewer.end_token()
            self.sign_in(viewer)

    def sign_in(self, viewer: Viewer) -> None:
        """What was bought is claimed with the new token, at the address that is told now."""
        viewer.person = sign_in_again(self.world, viewer.person)
        for which, (purchase, _) in list(viewer.bought.items()):
            course, right = self.courses[which], Right()
            if course is None:
                continue
            told = done(viewer.person.vps.get(f"/courses/{course.id}/key"))["videos"]
            uris = tuple(link["uri"] for link in told)
            renewed = Purchase(viewer.person, course, purchase.payment_id, uris)
            viewer.bought[which] = (renewed, right)
            viewer.claims.append((which, renewed, right))

    # --- teachers -----------------------------------------------------------------------------------------

    @precondition(lambda self: self.reach.vps_is_up and self.followers < FOLLOWERS_REQUIRED)
    @rule()
    def follow(self) -> None:
        done(followers_of(self.world)[self.followers].vps.put(f"/teachers/{self.teacher.username}/follow"))
        self.followers += 1
        self.is_verified = self.is_verified or self.followers == FOLLOWERS_REQUIRED

    @precondition(lambda self: self.reach.vps_is_up and self.is_verified)
    @rule()
    def demote(self) -> None:
        done(self.cast.admin.vps.post(f"/admin/teachers/{self.teacher.username}/demote"))
        self.is_verified, self.followers = False, FOLLOWERS_REQUIRED

    @precondition(lambda self: self.reach.vps_is_up and not self.is_verified)
    @rule()
    def verify(self) -> None:
        done(self.cast.admin.vps.post(f"/admin/teachers/{self.teacher.username}/verify"))
        self.is_verified, self.followers = True, FOLLOWERS_REQUIRED

    @precondition(lambda self: self.reach.node_is_up)
    @rule()
    def upload(self) -> None:
        """Asked of the VPS every time: allowed or refused as of now, or 503."""
        lesson = self.upload_course.add_lesson() if self.reach.vps_is_up else self.upload_course.lesson_id
        answer = self.teacher.upload(lesson, self.cast.film)
        allowed = 201 if self.is_verified else 403
        assert answer.status_code in ((allowed, 503) if self.reach.is_whole else (503,)), answer.content
        if answer.status_code == 201:
            written_down(self.world, answer.json(), self.cast.film)

    @precondition(lambda self: self.reach.node_is_up)
    @rule(which=courses)
    def delete_course(self, which: int) -> None:
        course = self.courses[which]
        if course is None:
            return
        answer = self.cast.teacher.cloud.delete(f"/courses/{course.id}")
        assert answer.status_code in ((204, 503) if self.reach.is_whole else (503,)), answer.content
        self.courses[which] = None
        for viewer in self.viewers:
            viewer.bought.pop(which, None)
        if answer.status_code == 503:
            # The VPS may have agreed and not been heard, or hear of it when the link is healed: either is right.
            self.world.ledger.doubted.add(course.id)
            for viewer in self.viewers:
                viewer.claims = [claim for claim in viewer.claims if claim[0] != which]
            return
        self.world.ledger.deleted.add(course.id)
        for viewer in self.viewers:
            for bought, _, right in viewer.claims:
                if bought == which:
                    right.end()

    # --- what breaks, and is mended -------------------------------------------------------------------------

    @precondition(lambda self: self.reach.link_is_up)
    @rule(way=st.sampled_from(sorted(CUTS)))
    def cut(self, way: str) -> None:
        CUTS[way](self.world.link)
        self.reach.link_is_up = False
        self.reach.changed()

    @precondition(lambda self: not self.reach.link_is_up)
    @rule()
    def heal(self) -> None:
        self.world.link.heal()
        self.reach.link_is_up = True
        self.reach.changed()

    @precondition(lambda self: self.reach.vps_is_up)
    @rule()
    def kill_vps(self) -> None:
        self.world.vps.kill()
        self.reach.vps_is_up = False
        self.reach.changed()

    @precondition(lambda self: not self.reach.vps_is_up)
    @rule()
    def start_vps(self) -> None:
        self.world.vps.start()
        self.reach.vps_is_up = True
        self.reach.changed()

    @precondition(lambda self: self.reach.node_is_up)
    @rule(at_once=st.booleans())
    def kill_node(self, at_once: bool) -> None:
        self.world.cloud.kill()
        self.reach.node_is_up = False
        self.reach.changed()
        if at_once:
            self.start_node_again()

    @precondition(lambda self: not self.reach.node_is_up)
    @rule()
    def start_node(self) -> None:
        self.start_node_again()

    def start_node_again(self) -> None:
        self.world.cloud.start()
        self.reach.node_is_up = True
        self.reach.changed()

    @rule(seconds=st.sampled_from([0.2, 1.0, 3.0]))
    def time_passes(self, seconds: float) -> None:
        time.sleep(seconds)

    # --- and all the while, people watch ----------------------------------------------------------------------

    @precondition(lambda self: self.reach.node_is_up)
    @rule()
    def everybody_watches(self) -> None:
        for viewer in self.viewers:
            for which, purchase, right in viewer.claims:
                self.watch(which, purchase, right)

    def watch(self, which: int, purchase: Purchase, right: Right) -> None:
        asked_at = time.monotonic()
        response = purchase.watch()
        check_answer(right, self.reach, asked_at, response)
        if response.status_code == 503 and self.reach.is_whole and right.ended_at is None:
            eventually(lambda: purchase.watch().status_code == 200)

    @precondition(lambda self: self.reach.node_is_up)
    @rule()
    def a_stranger_does_not_watch(self) -> None:
        enrolled_nowhere = followers_of(self.world)[0]
        for video_id in self.videos:
            assert enrolled_nowhere.watch(video_id).status_code in (403, 404, 503)


def run(machine: type[Product], **chosen: Any) -> None:
    """Failing steps are printed as they were, not made fewer: that would take hours, and end somewhere else."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            print_blob=False,
            **chosen,
        ),
    )


@pytest.fixture
def machine(world: World, cast: Cast) -> type[Product]:
    return type("ProductHere", (Product,), {"world": world, "cast": cast})


def test_the_product_and_the_model_agree(machine: type[Product]) -> None:
    if MINUTES in os.environ:
        pytest.skip("the long run is asked for")
    run(machine, max_examples=4, stateful_step_count=25, derandomize=True)


@pytest.mark.skipif(MINUTES not in os.environ, reason="make soak")
def test_they_agree_for_as_long_as_was_asked(machine: type[Product]) -> None:
    ends = time.monotonic() + 60 * float(os.environ[MINUTES])
    chosen = int(os.environ.get(SEED) or 0)
    while time.monotonic() < ends:
        number = chosen or random.randrange(1, 2**32)
        print(f"seed {number}: to run it again, make soak SEED={number}", flush=True)
        run(seed(number)(machine), max_examples=5, stateful_step_count=50)
