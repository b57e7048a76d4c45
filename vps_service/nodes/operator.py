"""What an operator does about nodes: `toptank add-node`, `remove-node`, `reconcile`."""

import argparse
import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from shared.problems import AppError
from shared.settings import load, stop
from vps_service.db import Sessions
from vps_service.migrate import DatabaseNotReady, with_database
from vps_service.nodes import actions, queries
from vps_service.settings import DatabaseSettings

LOOK_EVERY_S = 0.2


class NotAllAnswered(AppError):
    title = "Some nodes did not answer"


async def add_node(sessions: Sessions, node_id: str, pems: str) -> str:
    async with sessions() as session, session.begin():
        await actions.admit_node(session, node_id, pems)
    return f"{node_id} may call this VPS"


async def remove_node(sessions: Sessions, node_id: str) -> str:
    async with sessions() as session, session.begin():
        await actions.shut_out_node(session, node_id)
    return f"{node_id} may not call this VPS any more"


async def reconcile(sessions: Sessions, wait_s: float) -> str:
    """One line a node. Raises NotAllAnswered when some are silent for `wait_s` seconds."""
    async with sessions() as session, session.begin():
        wanted = {node.id: node.reconcile_order for node in await actions.order_reconciliation(session)}
    lines: dict[str, str] = {}
    deadline = asyncio.get_running_loop().time() + wait_s
    while wanted.keys() - lines.keys() and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(LOOK_EVERY_S)
        async with sessions() as session:
            for node in await queries.nodes(session):
                if node.id in wanted and node.reconciled_order >= wanted[node.id]:
                    lines[node.id] = f"{node.id} {json.dumps(node.reconciliation)}"
    said = "\n".join(lines[name] for name in sorted(lines)) or "no node has answered"
    if missing := sorted(wanted.keys() - lines.keys()):
        raise NotAllAnswered(f"{said}\nnothing heard of {', '.join(missing)}; they do it as soon as they are back")
    return said


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="toptank", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("add-node", help="let a node call this VPS; its former keys are forgotten")
    add.add_argument("node", help="the node's TOPTANK_NODE_ID")
    add.add_argument("key_file", type=Path, help="its public key; two in one file while it is being replaced")
    remove = commands.add_parser("remove-node", help="let a node call this VPS no more")
    remove.add_argument("node")
    compare = commands.add_parser("reconcile", help="have every node compare itself with this VPS, and repair")
    compare.add_argument("--wait", type=float, default=60, metavar="SECONDS", help="how long to wait for their reports")
    return parser.parse_args()


def main() -> None:
    given = _parse()
    works: dict[str, Callable[[Sessions], Awaitable[str]]] = {
        "add-node": lambda sessions: add_node(sessions, given.node, given.key_file.read_text()),
        "remove-node": lambda sessions: remove_node(sessions, given.node),
        "reconcile": lambda sessions: reconcile(sessions, given.wait),
    }
    try:
        said = asyncio.run(with_database(load(DatabaseSettings), works[given.command]))
    except (AppError, DatabaseNotReady) as error:
        stop(str(error))
    except UnicodeDecodeError:
        stop(f"{given.key_file}: is not text")
    except OSError as error:
        stop(f"{error.filename}: {error.strerror}")
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main()
