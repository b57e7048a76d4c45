"""Who was refused a moment ago and has paid since watches at once, whichever address they use."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.both.people import Course, Person, buy, done, draft_course, make_student, refused
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips

PRICE = 25_000
BOUND_S = 2.0


@pytest.fixture(scope="module")
def for_sale(toptank: TopTank, teacher: Person, clips: Clips) -> tuple[Course, str]:
    toptank.simulator.start()
    course = draft_course(toptank, teacher, amount=PRICE)
    film = str(done(teacher.upload(course.lesson_id, clips.film), 201)["id"])
    course.publish()
    eventually(lambda: course.video_ids() == [film])
    return course, film


def test_the_address_that_comes_with_the_key_opens_at_once(
    toptank: TopTank, for_sale: tuple[Course, str], clips: Clips
) -> None:
    """Ten times: no luck is in it."""
    course, film = for_sale
    for _ in range(10):
        buyer = make_student(toptank)
        refused(buyer.watch(film), 403, "key_required")
        (link,) = buy(toptank, buyer, course)["videos"]
        assert buyer.watch_at(link["uri"]).content == clips.film


def test_a_bare_address_opens_as_soon_as_the_node_has_heard_of_the_key(
    toptank: TopTank, for_sale: tuple[Course, str]
) -> None:
    course, film = for_sale
    buyer = make_student(toptank)
    refused(buyer.watch(film), 403, "key_required")
    buy(toptank, buyer, course)
    eventually(lambda: buyer.watch(film).status_code == 200, within_s=BOUND_S)


def test_a_player_that_asks_all_the_time_is_let_in_as_soon_as_it_is_paid(
    toptank: TopTank, for_sale: tuple[Course, str]
) -> None:
    course, film = for_sale
    buyer = make_student(toptank)
    with ThreadPoolExecutor(1) as pool:
        buying = pool.submit(buy, toptank, buyer, course)
        while not buying.done():
            assert buyer.watch(film).status_code in (200, 403)
        (link,) = buying.result()["videos"]
    assert buyer.watch_at(link["uri"]).status_code == 200
    assert buyer.watch(film).status_code == 200


def test_the_address_opens_nothing_for_somebody_else(toptank: TopTank, for_sale: tuple[Course, str]) -> None:
    course, _ = for_sale
    (link,) = buy(toptank, make_student(toptank), course)["videos"]
    stranger = make_student(toptank)
    refused(stranger.watch_at(link["uri"]), 403, "key_required")


@pytest.mark.parametrize("after", ["", "x", "-1", "1.5", "9" * 18, "9" * 40, "%00", "1&after=2"])
def test_an_address_that_somebody_changed_is_an_ordinary_one(
    toptank: TopTank, for_sale: tuple[Course, str], after: str
) -> None:
    _, film = for_sale
    uri = f"{toptank.cloud.url}/videos/{film}/stream?after={after}"
    refused(make_student(toptank).watch_at(uri), 403, "key_required")
