"""A clock that is ten minutes wrong, on either side, from the start or suddenly."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from shared.tokens import load_private_key, sign_access
from tests.both.people import Person, with_token
from tests.both.toptank import eventually
from tests.faults.acts import Cast, sign_in_again
from tests.faults.audit import is_fresh
from tests.faults.clocks import WrongClock, library
from tests.faults.world import World

pytestmark = [
    pytest.mark.usefixtures("audited"),
    pytest.mark.skipif(library() is None, reason="needs the package faketime"),
]

TEN_MINUTES = 600
WRONG = [TEN_MINUTES, -TEN_MINUTES]


@pytest.fixture
def clock(tmp_path: Path) -> WrongClock:
    return WrongClock(tmp_path)


@pytest.fixture
def wrong_node(world: World, clock: WrongClock) -> Iterator[WrongClock]:
    world.cloud.restart(**clock.environment)
    is_fresh(world, world.cloud)
    yield clock
    world.cloud.restart()


def token_of_age(world: World, person: Person, age_s: int, life_s: int) -> Person:
    """The same person with a token that was signed `age_s` seconds ago, by the VPS's clock."""
    key = load_private_key((world.secrets / "access_key").read_text())
    token = sign_access(key, UUID(person.id), person.username, "student", life_s - age_s)
    return with_token(world, person.id, person.username, token)


def check_works(world: World, cast: Cast) -> None:
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().content == cast.film
    old = token_of_age(world, purchase.buyer, 60 + 30, 60)
    assert old.watch(purchase.uris[0].split("/videos/")[1].split("/")[0]).status_code == 401
    cast.refund(purchase)
    eventually(lambda: purchase.watch().status_code == 403)


@pytest.mark.parametrize("ahead_s", WRONG)
def test_a_node_whose_clock_is_wrong_goes_by_that_of_the_vps(
    world: World, cast: Cast, clock: WrongClock, ahead_s: int
) -> None:
    """It serves, takes uploads, lets no token live longer, and says what is wrong."""
    logged = len(list(world.cloud.lines()))
    clock.set(ahead_s)
    world.cloud.restart(**clock.environment)
    is_fresh(world, world.cloud)
    try:
        check_works(world, cast)
        said = [line for line in list(world.cloud.lines())[logged:] if "clock is wrong" in line["event"]]
        assert len(said) == 1
        metrics = world.http.get(f"{world.cloud.url}/metrics").text
        (skew,) = [
            float(line.split()[-1]) for line in metrics.splitlines() if line.startswith("toptank_clock_skew_seconds ")
        ]
        assert abs(skew - ahead_s) < 5
    finally:
        world.cloud.restart()


@pytest.mark.parametrize("ahead_s", WRONG)
def test_a_clock_that_jumps_under_a_running_node_changes_nothing(
    world: World, cast: Cast, wrong_node: WrongClock, ahead_s: int
) -> None:
    """And neither does its jumping back."""
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    for wrong_by in (ahead_s, 0):
        wrong_node.set(wrong_by)
        for _ in range(25):
            assert purchase.watch().status_code == 200
        check_works(world, cast)


@pytest.mark.parametrize("ahead_s", WRONG)
def test_a_vps_whose_clock_is_wrong_is_the_one_that_counts(
    world: World, cast: Cast, clock: WrongClock, ahead_s: int
) -> None:
    """Its tokens are good by its own clock, here and on the node; when it is right again, so are those of before."""
    course, _ = cast.course_on_sale()
    before = cast.buyer_of(course)
    assert before.let_in().status_code == 200
    clock.set(ahead_s)
    world.vps.restart(**clock.environment)
    try:
        meanwhile = replace(cast, teacher=sign_in_again(world, cast.teacher), admin=sign_in_again(world, cast.admin))
        # The node learns what time it is from the first answer.
        eventually(lambda: meanwhile.teacher.cloud.get("/uploads/permission").status_code == 200)
        fresh, _ = meanwhile.course_on_sale()
        purchase = meanwhile.buyer_of(fresh)
        eventually(lambda: purchase.watch().status_code == 200)
        meanwhile.refund(purchase)
        eventually(lambda: purchase.watch().status_code == 403)
    finally:
        world.vps.restart()
    eventually(lambda: before.watch().status_code == 200)
