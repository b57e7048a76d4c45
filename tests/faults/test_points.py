"""No kill point is left out."""

from shared.killpoints import POINTS
from tests.faults import node_deaths, vps_deaths


def test_every_kill_point_has_a_scenario() -> None:
    assert sorted([*node_deaths.SCENARIOS, *vps_deaths.SCENARIOS]) == sorted(POINTS)
