"""The public list of courses, and searches in it, at a thousand, a hundred thousand, and a million courses."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from urllib.parse import quote

import psycopg

from shared.localdb import LocalDatabase
from tests.bench import load
from tests.bench.figures import Figure, compared
from tests.bench.people import vps_beside
from tests.bench.rig import Rig
from tests.many_courses import IN_THIRTY, IN_THREE, IN_TWENTY, IN_TWO_HUNDRED, TEACHER, fill

FEW, SIZES = 1000, (100_000, 1_000_000)
REQUESTS = 100


@dataclass(frozen=True)
class Question:
    """`grows`: with the courses there are more answers to it, so that a page of few is no measure for one of many."""

    name: str
    query: str
    grows: bool = False


QUESTIONS = (
    Question("list of courses", ""),
    Question("a teacher's courses", f"teacher={TEACHER}"),
    Question("search for a word of a third", f"q={IN_THREE}"),
    Question("search for a word of a thirtieth", f"q={IN_THIRTY}"),
    Question("search for two words of these", f"q={quote(f'{IN_THREE} {IN_THIRTY}')}"),
    Question("search for a word of twenty courses", f"q={IN_TWENTY}"),
    Question("search for a word of a 200th", f"q={IN_TWO_HUNDRED}", grows=True),
)


@contextmanager
def quick_database(rig: Rig) -> Iterator[LocalDatabase]:
    """A PostgreSQL for what is written once and then only read: it neither waits for the disk nor tidies up by itself,
    which everything that is measured would feel.
    """
    database = LocalDatabase(rig.folder / "courses", durable=False)
    database.start()
    try:
        with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
            for setting in ("autovacuum = off", "max_wal_size = '16GB'"):
                connection.execute(f"ALTER SYSTEM SET {setting}".encode())
            connection.execute("SELECT pg_reload_conf()")
        yield database
    finally:
        database.stop()


@contextmanager
def vps_with(rig: Rig, database: LocalDatabase, size: int) -> Iterator[str]:
    """A VPS with a database of its own with so many courses."""
    name = f"courses_{size}"
    url = database.url(name)
    with psycopg.connect(database.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    told = rig.stack.environment() | {"TOPTANK_DATABASE_URL": url}
    subprocess.run([sys.executable, "-m", "shared.cli", "migrate"], env=told, check=True, capture_output=True)
    fill(url, size)
    with vps_beside(rig, TOPTANK_DATABASE_URL=url) as vps:
        yield vps


def p50_ms(vps: str, query: str) -> float:
    """One after another, over one connection."""
    wanted = [load.request(f"{vps}/api/courses?{query}", {})] * REQUESTS
    return statistics.median(load.run(vps, wanted, status=200, seconds=None, connections=1).waits) * 1000


def figure(question: Question, vps: str, size: int, other: str, few: int) -> Figure:
    return compared(
        f"{question.name}, {size:,} against {few:,}, p50",
        "ms",
        "<= 1.5",
        lambda: p50_ms(vps, question.query),
        lambda: p50_ms(other, question.query),
    )


def measure(rig: Rig) -> list[Figure]:
    with ExitStack() as stack:
        database = stack.enter_context(quick_database(rig))
        few, *many = (stack.enter_context(vps_with(rig, database, size)) for size in (FEW, *SIZES))
        figures = []
        for question in QUESTIONS:
            if not question.grows:
                figures += [figure(question, vps, size, few, FEW) for vps, size in zip(many, SIZES, strict=True)]
            else:
                figures.append(figure(question, many[-1], SIZES[-1], many[0], SIZES[0]))
        return figures
