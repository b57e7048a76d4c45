"""tus 1.0.0, row by row: at a node, and at the server of those who wrote the protocol, whose deviations are listed."""

from collections.abc import Iterator

import httpx
import pytest

from tests.both.people import Person
from tests.both.toptank import TopTank
from tests.clips import Clips
from tests.tus.node import needs_node, start
from tests.tus.table import MAX_SIZE, Row, Server, Table, metadata

SETTINGS = {"TOPTANK_UPLOAD_BYTES": str(MAX_SIZE)}
NAMES = [row.name for row in Table(bytes(100), "").rows()]

VERBS = ("POST", "HEAD", "PATCH", "DELETE")
UNCHECKED = ["status 204", "then at {half}"]
DEVIATIONS: dict[str, list[str]] = {
    **{f"{verb} without a version": ["Tus-Version: None"] for verb in VERBS},
    **{
        f"{verb} of another version": ["status 400", "Tus-Version: None"]
        for verb in ("POST", "HEAD", "PATCH", "DELETE")
    },
    # It does without the checksum extension, and takes bytes whatever checksum comes with them.
    "options tells of checksums": [
        "Tus-Extension: creation,creation-with-upload,creation-defer-length,termination,expiration",
        "Tus-Checksum-Algorithm: None",
    ],
    "creation with bytes of another checksum": ["status 201", "with Location", "with Upload-Offset"],
    "checksum of other bytes": UNCHECKED,
    "checksum of other bytes, in chunks": UNCHECKED,
    "checksum of other bytes, sha256": UNCHECKED,
    "checksum of an unknown algorithm": UNCHECKED,
    "checksum that is no Base64": UNCHECKED,
    "checksum that is too short": UNCHECKED,
    "checksum without an algorithm": UNCHECKED,
    # Which it may: it says that it takes uploads whose length is told later.
    "creation of a length to be told later": ["status 201", "with Location"],
    "creation with bytes of another type": ["status 201", "with Location"],
    "patch of another type": ["status 400"],
    "patch of no type": ["status 403"],
    # It reads the method from the request's first line only.
    "patch by another name": ["status 400", "Upload-Offset: None", "Upload-Expires: None", "then at 0"],
}
"""Of npm's @tus/server 2.4.5: where it does otherwise than the protocol says, or does more or less than we do."""
VARIES = {"patch of too many bytes in chunks"}
"""It keeps more or fewer of the bytes that it refuses, as it happens."""


@pytest.fixture(scope="module")
def table(clips: Clips) -> Table:
    return Table(clips.film, metadata(kind="practice", title="Scales, slowly"))


@pytest.fixture(scope="module")
def rows(table: Table) -> dict[str, Row]:
    return {row.name: row for row in table.rows()}


@pytest.fixture(scope="module")
def node(toptank: TopTank, student: Person) -> Server:
    return Server(toptank.http, f"{toptank.cloud.url}/uploads", student.cloud.headers)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with start("peer.mjs", str(tmp_path_factory.mktemp("peer")), str(MAX_SIZE)) as process, httpx.Client() as http:
        assert process.stdout
        yield Server(http, f"http://127.0.0.1:{int(process.stdout.readline())}/uploads", {})


@pytest.mark.parametrize("name", NAMES)
def test_a_node_answers_as_the_protocol_says(node: Server, table: Table, rows: dict[str, Row], name: str) -> None:
    assert node.differences(table, rows[name]) == []


def test_every_deviation_is_of_a_row() -> None:
    assert {*DEVIATIONS, *VARIES} <= set(NAMES)


@needs_node
@pytest.mark.parametrize("name", NAMES)
def test_the_same_is_asked_of_the_protocols_own_server(
    peer: Server, table: Table, rows: dict[str, Row], name: str
) -> None:
    if name in VARIES:
        pytest.skip("varies at that server")
    known = [told.format(half=table.half) for told in DEVIATIONS.get(name, [])]
    assert peer.differences(table, rows[name]) == known
