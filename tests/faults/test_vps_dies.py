"""The VPS kills itself at every point where that could matter, and what it had said, or sold, stands."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.both.people import make_student
from tests.both.toptank import eventually
from tests.faults import view_deaths
from tests.faults.acts import Cast, order, pay, verify
from tests.faults.vps_deaths import SCENARIOS, keys_of
from tests.faults.webhooks import send_webhook
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")


@pytest.mark.parametrize("point", SCENARIOS)
def test_a_vps_that_died_at_any_point_is_whole_when_it_is_back(world: World, cast: Cast, point: str) -> None:
    scenario = SCENARIOS[point](world, cast)
    next(scenario)
    world.vps.stop()
    world.vps.start_doomed(point)
    next(scenario)
    world.revive(world.vps)
    assert next(scenario, None) is None


def test_a_view_that_it_died_over_counts_once(world: World, cast: Cast) -> None:
    """The node was not answered, and tells it again."""
    purchase, video_id = view_deaths.buyer(cast)
    world.vps.stop()
    url = view_deaths.begin(purchase.buyer, video_id)
    assert purchase.watch(url).content == cast.film
    world.vps.start_doomed("event.before_commit")
    world.revive(world.vps)
    eventually(lambda: view_deaths.views(cast, purchase) == [1])
    eventually(lambda: not world.node_sql("SELECT * FROM outbox"))
    assert view_deaths.views(cast, purchase) == [1]


def test_a_webhook_sent_fifty_times_at_once_grants_once(world: World, cast: Cast) -> None:
    course, _ = cast.course_on_sale()
    placed = order(world, make_student(world), course)
    pay(world, placed)
    with ThreadPoolExecutor(25) as pool:
        answers = set(pool.map(lambda _: send_webhook(world, placed, "msg_the_same").status_code, range(50)))
    assert 204 in answers
    assert answers <= {204, 503}  # so many at once may wait too long; a provider sends those again
    assert keys_of(world, placed) == ["active"]
    changes = "SELECT count(*) FROM changes WHERE kind = 'key_granted' AND (user_id, course_id) = (%s, %s)"
    assert world.sql(changes, placed.buyer.id, course.id) == [(1,)]
    assert verify(world, placed).let_in().content == cast.film
