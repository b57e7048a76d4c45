"""The changes feed: how fast a node catches up, and what it costs the VPS while nothing happens."""

import asyncio
import os
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy import select

from tests.bench.figures import Figure
from tests.bench.rig import Rig
from vps_service import changes
from vps_service.db import Sessions
from vps_service.models import Key
from vps_service.settings import DatabaseSettings

QUEUED = 10_000
IDLE_S = 20.0


async def _void_keys(url: str, course: str) -> None:
    """Each with the change that the nodes hear of, as the VPS does it, but hundreds in a transaction."""
    sessions = Sessions(DatabaseSettings(database_url=url, environment="local"))
    async with sessions() as session, session.begin():
        wanted = select(Key).where(Key.course_id == UUID(course), Key.status == "active").limit(QUEUED)
        for key in await session.scalars(wanted):
            key.status = "void"
            changes.record(session, "key_voided", user_id=key.user_id, course_id=key.course_id)
    await sessions.close()


def head(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT last FROM change_counter").fetchone()
    assert row
    return int(row[0])


def position(rig: Rig) -> int:
    """How far the node has come."""
    with closing(sqlite3.connect(f"file:{rig.folder}/node-1/node.sqlite3?mode=ro", uri=True)) as node:
        (found,) = node.execute("SELECT value FROM remembered WHERE name = 'feed_position'").fetchone()
    return int(found)


def catch_up(rig: Rig) -> Figure:
    """A node that was away for ten thousand changes, each about a grant that it remembers."""
    pid, database = rig.pid("cloud"), rig.stack.database.url()
    before = head(database)
    os.kill(pid, signal.SIGSTOP)
    try:
        asyncio.run(_void_keys(database, rig.course))
    finally:
        os.kill(pid, signal.SIGCONT)
    started = time.perf_counter()
    newest = head(database)
    while position(rig) < newest:
        time.sleep(0.02)
    took = time.perf_counter() - started
    return Figure(f"{newest - before:,} queued changes applied by a node", round(took, 2), "s", target="<= 20")


def cpu_s(pids: list[int]) -> float:
    """User and system time so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def servers(rig: Rig) -> list[int]:
    """The VPS and its PostgreSQL."""
    with psycopg.connect(rig.stack.database.url()) as connection:
        sessions = [row[0] for row in connection.execute("SELECT pid FROM pg_stat_activity WHERE datname IS NOT NULL")]
    return [rig.pid("vps"), *(pid for pid in sessions if Path(f"/proc/{pid}").exists())]


def _spent(rig: Rig) -> float:
    watched = servers(rig)
    before = cpu_s(watched)
    time.sleep(IDLE_S)
    return cpu_s([pid for pid in watched if Path(f"/proc/{pid}").exists()]) - before


def idle_cost(rig: Rig) -> Figure:
    """Feed and reports of three nodes, against the same VPS with its nodes frozen."""
    with_nodes = _spent(rig)
    pids = [rig.pid(service.name) for service in rig.stack.nodes]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(8)  # what they had asked is answered by then
        without = _spent(rig)
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
    each = (with_nodes - without) / len(pids) / IDLE_S * 1000
    return Figure("idle node's cost for VPS and PostgreSQL, per second", round(each, 2), "ms CPU")
