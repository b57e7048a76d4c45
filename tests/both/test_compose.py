"""What docker-compose.yml tells its services is what they read, and all that they can be told."""

import re
from pathlib import Path

import pytest

from cloud_service.settings import CloudSettings, WorkerSettings
from shared.settings import Settings
from tests.both.edges import CONFIGURATIONS
from vps_service.settings import VpsSettings

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"


def service(name: str) -> str:
    return COMPOSE.read_text().split(f"\n  {name}:")[1].split("\n\n")[0]


FIXED = {"data_dir", "cloud_data_dir", "vps_host", "vps_port", "cloud_host", "cloud_port", "node_id"}
"""What images, ports and keys are made for."""


@pytest.mark.parametrize(
    ("name", "settings"), [("vps", VpsSettings), ("cloud", CloudSettings), ("worker", WorkerSettings)]
)
def test_whatever_a_service_can_be_told_an_operator_can_set(name: str, settings: type[Settings]) -> None:
    """What Compose does not hand on from the file .env would come to nothing there without a word."""
    of_all = service("migrate") if "<<: *database" in service(name) else ""
    told = set(re.findall(r"^      TOPTANK_(\w+):", service(name) + of_all, re.MULTILINE))
    fields = {field.upper() for field in settings.model_fields}
    assert {field for field in fields if not told & {field, f"{field}_FILE"}} <= {field.upper() for field in FIXED}
    assert {one for one in told if not fields & {one, one.removesuffix("_FILE")}} == set()


def test_the_edge_is_told_what_an_operator_sets_and_nothing_empty() -> None:
    read = set(re.findall(r"\{\$(TOPTANK_\w+):", (CONFIGURATIONS / "Caddyfile").read_text()))
    told = re.findall(r"^      (TOPTANK_\w+): (.*)$", service("edge"), re.MULTILINE)
    assert {name for name, _ in told} == {name for name in read if not name.startswith("TOPTANK_EDGE_")}
    for name, value in told:
        assert re.fullmatch(rf"\$\{{{name}:-.+\}}", value), name


def test_the_edge_finds_the_media_folder_in_the_nodes_volume_and_cannot_write_there() -> None:
    assert "{$TOPTANK_EDGE_MEDIA:/node/media}" in (CONFIGURATIONS / "Caddyfile").read_text()
    assert '"cloud:/data"' in service("cloud")
    assert '"cloud:/node:ro"' in service("edge")
    assert "TOPTANK_EDGE_SENDS: ${TOPTANK_EDGE_SENDS:-true}" in service("cloud")
