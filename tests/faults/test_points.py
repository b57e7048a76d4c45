"""No kill point is left out."""

from shared.killpoints import POINTS
from tests.faults import node_deaths, vps_deaths, worker_deaths


def test_every_kill_point_has_a_scenario() -> None:
    of_workers = [point.partition(":")[0] for point in worker_deaths.SCENARIOS]
    assert sorted([*node_deaths.SCENARIOS, *of_workers, *vps_deaths.SCENARIOS]) == sorted(POINTS)
