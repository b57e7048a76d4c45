"""A node kills itself at every point where that could matter, and nothing is lost, doubled, or left over."""

import pytest

from tests.faults import later_deaths, view_deaths
from tests.faults.acts import Cast
from tests.faults.node_deaths import SCENARIOS, Scenario
from tests.faults.resumable_deaths import ON_THE_COMMON_WAY
from tests.faults.world import World

pytestmark = pytest.mark.usefixtures("audited")


@pytest.mark.parametrize("point", SCENARIOS)
def test_a_node_that_died_at_any_point_is_whole_when_it_is_back(world: World, cast: Cast, point: str) -> None:
    dies_and_comes_back(world, cast, point, SCENARIOS[point])


@pytest.mark.parametrize("point", ON_THE_COMMON_WAY)
def test_so_it_is_after_an_upload_that_can_be_resumed(world: World, cast: Cast, point: str) -> None:
    dies_and_comes_back(world, cast, point, ON_THE_COMMON_WAY[point])


@pytest.mark.parametrize("point", view_deaths.ON_THE_COMMON_WAY)
def test_so_it_is_while_somebody_watches(world: World, cast: Cast, point: str) -> None:
    dies_and_comes_back(world, cast, point, view_deaths.ON_THE_COMMON_WAY[point])


@pytest.mark.parametrize("point", later_deaths.SCENARIOS)
def test_so_it_is_when_it_came_through_that_point_before(world: World, cast: Cast, point: str) -> None:
    dies_and_comes_back(world, cast, point, later_deaths.SCENARIOS[point])


def dies_and_comes_back(world: World, cast: Cast, point: str, prepared: Scenario) -> None:
    scenario = prepared(world, cast)
    next(scenario)
    world.cloud.stop()
    world.cloud.start_doomed(point)
    next(scenario)
    world.revive(world.cloud)
    assert next(scenario, None) is None
