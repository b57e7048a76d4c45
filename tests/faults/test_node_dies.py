"""A node kills itself at every point where that could matter, and nothing is lost, doubled, or left over."""

import pytest

from tests.faults.acts import Cast
from tests.faults.node_deaths import SCENARIOS
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")


@pytest.mark.parametrize("point", SCENARIOS)
def test_a_node_that_died_at_any_point_is_whole_when_it_is_back(world: World, cast: Cast, point: str) -> None:
    scenario = SCENARIOS[point](world, cast)
    next(scenario)
    world.cloud.stop()
    world.cloud.start_doomed(point)
    next(scenario)
    world.revive(world.cloud)
    assert next(scenario, None) is None
