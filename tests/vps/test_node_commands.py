"""What an operator does about nodes: add one, replace its key, remove it, have all compare themselves."""

import asyncio
import json
import subprocess
import sys
from os import environ
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.contract import CHANGES, RECONCILED, Reconciliation
from shared.problems import Invalid
from tests.settings import vps_environment
from tests.vps.nodes import node_with, public_pem
from tests.vps.people import done, refused
from tests.vps.running import NODE, Node, Vps
from tests.vps.terminal import toptank
from vps_service.nodes import operator

pytestmark = pytest.mark.anyio

FOUND = {"courses": 2, "videos": 3, "grants": 4, "differing_courses": 1, "announced": 1, "removed": 0}
FOUND |= {"missing": 0, "grants_ended": 0}


@pytest.fixture
def environment(database_url: str, secrets_folder: Path, tmp_path: Path) -> dict[str, str]:
    return vps_environment(database_url, secrets_folder, tmp_path)


async def is_believed(node: Node) -> bool:
    answer = await node.send(node.token("GET", CHANGES), "GET", CHANGES)
    if answer.status_code != 200:
        refused(answer, 401, "not_authenticated")
    return answer.status_code == 200


async def test_a_node_is_added_its_key_replaced_and_the_node_removed(
    vps: Vps, environment: dict[str, str], tmp_path: Path
) -> None:
    old, new = [node_with(vps, "node-2", Ed25519PrivateKey.generate()) for _ in range(2)]
    file = tmp_path / "key"

    def add(*nodes: Node) -> tuple[int, str]:
        file.write_text(public_pem(*(node.key for node in nodes)))
        return toptank("add-node", "node-2", str(file), environment=environment)

    assert not await is_believed(old)
    for _ in range(2):
        assert add(old) == (0, "node-2 may call this VPS\n")
    assert (await is_believed(old), await is_believed(new)) == (True, False)
    assert add(old, new)[0] == 0
    assert (await is_believed(old), await is_believed(new)) == (True, True)
    assert add(new)[0] == 0
    assert (await is_believed(old), await is_believed(new)) == (False, True)
    removed = toptank("remove-node", "node-2", environment=environment)
    assert removed == (0, "node-2 may not call this VPS any more\n")
    assert (await is_believed(new), await is_believed(vps.node)) == (False, True)
    assert len(await vps.rows("SELECT 1 FROM nodes")) == 2  # what it holds stays known


async def test_a_key_file_that_holds_no_public_key_changes_nothing(
    vps: Vps, environment: dict[str, str], tmp_path: Path
) -> None:
    how = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    bad = {
        "empty": b"",
        "a word": b"letmein",
        "a private key": (vps.secrets / "node_key").read_bytes(),
        "of another curve": generate_private_key(SECP256R1()).public_key().public_bytes(*how),
        "cut short": public_pem(Ed25519PrivateKey.generate()).encode()[:-20],
    }
    for content in bad.values():
        with pytest.raises(Invalid, match=r"^the key cannot be read: ") as bad_key:
            await operator.add_node(vps.sessions, NODE, content.decode())
        assert "letmein" not in str(bad_key.value)
    (tmp_path / "key").write_bytes(bad["a private key"])
    code, said = toptank("add-node", NODE, str(tmp_path / "key"), environment=environment)
    assert (code, said) == (1, "toptank: the key cannot be read: not a public key in PEM form\n")
    code, said = toptank("add-node", NODE, str(tmp_path / "nowhere"), environment=environment)
    assert (code, said) == (1, f"toptank: {tmp_path / 'nowhere'}: No such file or directory\n")
    assert await is_believed(vps.node)


def test_a_key_file_that_is_no_text_is_one_line(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    code, said = toptank("add-node", NODE, str(tmp_path / "key"), environment=environment)
    assert (code, said.count("\n")) == (1, 1), said


async def test_one_key_is_one_nodes_only(vps: Vps, environment: dict[str, str]) -> None:
    key = str(vps.secrets / "node_public_key")
    said = toptank("add-node", "node-2", key, environment=environment)
    assert said == (1, "toptank: another node has this key already\n")
    assert await vps.rows("SELECT id FROM nodes") == [{"id": NODE}]
    assert await is_believed(vps.node)


@pytest.mark.parametrize("name", ["", "no de", "../node", "x" * 65, "node_1", "-", "node\0"])
async def test_a_name_that_is_none_is_refused(vps: Vps, name: str) -> None:
    with pytest.raises(Invalid, match="letters a to z, digits and hyphens"):
        await operator.add_node(vps.sessions, name, public_pem(Ed25519PrivateKey.generate()))
    assert await vps.rows("SELECT id FROM nodes") == [{"id": NODE}]


async def test_removing_a_node_that_nobody_knows_is_said(vps: Vps, environment: dict[str, str]) -> None:
    assert toptank("remove-node", "node-9", environment=environment) == (1, "toptank: there is no node node-9\n")
    assert await is_believed(vps.node)


# --- comparing --------------------------------------------------------------------------------------------


class Command:
    """`toptank reconcile` while it waits for the nodes."""

    def __init__(self, environment: dict[str, str], wait_s: int) -> None:
        command = [sys.executable, "-m", "shared.cli", "reconcile", "--wait", str(wait_s)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, env={**environ, **environment}, stdout=pipe, stderr=pipe, text=True)

    def ended(self) -> tuple[int, str]:
        said, amiss = self._process.communicate(timeout=60)
        return self._process.returncode, said + amiss


async def ordered(node: Node, more_than: int = 0) -> int:
    """The order that the node is given when it reports, once there is one."""
    deadline = monotonic() + 30
    while monotonic() < deadline:
        if (order := int(done(await node.report())["reconcile"])) > more_than:
            return order
        await asyncio.sleep(0.1)
    raise AssertionError("no order came")


async def fulfil(node: Node, order: int, **found: Any) -> None:
    done(await node.post(RECONCILED, Reconciliation.model_validate(FOUND | found | {"order": order})))


async def test_reconcile_waits_for_every_node_and_prints_what_each_found(vps: Vps, environment: dict[str, str]) -> None:
    assert done(await vps.node.report()) == {"reconcile": 0}
    command = Command(environment, 30)
    order = await ordered(vps.node)
    await fulfil(vps.node, order - 1)  # of the night before: not what was asked for
    await fulfil(vps.node, order, missing=1)
    code, said = command.ended()
    assert (code, said) == (0, f"{NODE} {json.dumps(await kept(vps))}\n")
    assert (await kept(vps))["missing"] == 1


async def kept(vps: Vps) -> Any:
    return (await vps.row("SELECT reconciliation FROM nodes WHERE id = :id", id=NODE))["reconciliation"]


async def test_reconcile_says_which_node_did_not_answer_and_the_wish_stays(
    vps: Vps, environment: dict[str, str]
) -> None:
    code, said = toptank("reconcile", "--wait", "0.5", environment=environment)
    assert code == 1
    assert said.startswith("toptank: no node has answered\nnothing heard of node-1; ")
    assert done(await vps.node.report()) == {"reconcile": 1}
    await fulfil(vps.node, 1)
    assert toptank("reconcile", "--wait", "0.5", environment=environment)[0] == 1  # each wish is a new one
    assert done(await vps.node.report()) == {"reconcile": 2}


async def test_a_removed_node_is_not_waited_for(vps: Vps, environment: dict[str, str]) -> None:
    assert toptank("remove-node", NODE, environment=environment)[0] == 0
    assert toptank("reconcile", "--wait", "0.5", environment=environment)[0] == 0
