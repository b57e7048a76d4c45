"""What docker-compose.yml gives the edge is what its Caddyfile reads."""

import re
from pathlib import Path

from tests.both.edges import CONFIGURATIONS

COMPOSE = Path(__file__).parents[2] / "docker-compose.yml"


def service(name: str) -> str:
    return COMPOSE.read_text().split(f"\n  {name}:")[1].split("\n\n")[0]


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
