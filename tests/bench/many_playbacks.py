"""What the check of a signed link costs on a node with very many live playbacks, against one with few."""

import random
import secrets
import sqlite3
import statistics
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from uuid import uuid4

from cloud_service.db import FILE
from cloud_service.playback.tokens import Claims, Secret, of_node, sign
from tests.bench import load
from tests.bench.beside import OURS, Server, copy_node, node
from tests.bench.figures import ALTERNATIONS, Figure
from tests.bench.rig import Rig

FEW, MANY = 100, 100_000
ASKED = 20_000
"""Of the many at most, from all over them."""
LIFE_S = 3600
NODE = "node-1"
"""Whose copies they are."""


def fill(database: Path, count: int) -> list[str]:
    """Playbacks as the ones that are there, each with a user and a grant of its own; paths of their links."""
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        playback = dict(
            connection.execute(
                "SELECT * FROM playbacks WHERE has_moved = 0 AND viewed_at IS NOT NULL LIMIT 1"
            ).fetchone()
        )
        grant = dict(connection.execute("SELECT * FROM grants WHERE user_id = ?", (playback["user_id"],)).fetchone())
        newest = "SELECT number, value, made_at FROM playback_secrets ORDER BY number DESC"
        number, value, made_at = connection.execute(newest).fetchone()
        made = [(str(uuid4()), str(uuid4())) for _ in range(count)]
        with connection:
            connection.execute("DELETE FROM playbacks")
            _insert(connection, "playbacks", [{**playback, "id": one, "user_id": user} for one, user in made])
            _insert(connection, "grants", [{**grant, "user_id": user} for _, user in made])
    secret, ends_at = Secret(number, of_node(value, NODE), made_at), int(time.time()) + LIFE_S
    tokens = (sign(secret, Claims(playback["video_id"], one, ends_at)) for one, _ in made)
    return [f"/play/{token}/sd.mp4" for token in tokens]


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[dict[str, object]]) -> None:
    columns, values = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
    connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({values})", rows)


def cost(server: Server, requests: Sequence[bytes]) -> float:
    """Microseconds of processor time a request."""
    before = server.cpu_s()
    made = load.run(server.url, requests, status=206)
    return (server.cpu_s() - before) / made.requests * 1e6


def measure(rig: Rig, folder: Path) -> Figure:
    """On copies of a node on which somebody is watching."""
    with ExitStack() as stack:
        sides = []
        for count in (MANY, FEW):
            copy = copy_node(folder, rig.folder / f"playbacks-{count}-{secrets.token_hex(3)}")
            paths = fill(copy / FILE, count)
            server = stack.enter_context(node(rig, copy, OURS))
            one_byte = {"Range": "bytes=0-0"}
            asked = [load.request(f"{server.url}{path}", one_byte) for path in random.sample(paths, min(count, ASKED))]
            load.run(server.url, asked, status=206, seconds=None)  # a first use is another thing
            sides.append((server, asked))

        def turn(server: Server, requests: Sequence[bytes]) -> float:
            return cost(server, random.sample(requests, len(requests)))

        pairs = [(turn(*sides[0]), turn(*sides[1])) for _ in range(ALTERNATIONS)]
    many, few = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(one / other for one, other in pairs)
    name = f"CPU of a check with {MANY:,} live playbacks, against {FEW}"
    return Figure(name, round(many, 1), "us", round(few, 1), round(ratio, 3), "<= 1.1")
