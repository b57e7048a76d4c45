"""Courses by the thousand or the million, written by the database itself: what lists and searches are tried on."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import psycopg

TABLES = ("users", "teachers", "courses", "sections", "lessons", "videos")
COURSES_A_TEACHER = 100
MANY = 100_000
IN_THREE, IN_THIRTY, IN_TWO_HUNDRED, IN_TWENTY = "oud", "ney", "buzuq", "qanun"
"""Words of every third course, every 30th, every 200th, and of twenty courses in all."""
TEACHER = "teacher.0"

TEACHERS = """
INSERT INTO users (id, role, name, username, email, password_hash)
    SELECT gen_random_uuid(), 'teacher', 'Teacher ' || n, 'teacher.' || n, 'teacher.' || n || '@example.com', '!'
    FROM generate_series(0, (%(size)s - 1) / {each}) n;
INSERT INTO teachers (user_id) SELECT id FROM users WHERE username LIKE 'teacher.%%';
"""
COURSES = """
CREATE TEMPORARY TABLE phrases (number int PRIMARY KEY, words text) ON COMMIT DROP;
INSERT INTO phrases
    SELECT number, string_agg('word' || floor(power(random(), 3) * 20000)::int, ' ')
    FROM generate_series(0, 9999) number, generate_series(1, 15) GROUP BY number;
INSERT INTO courses (id, teacher_id, title, description, price_amount, currency, status, downloads_allowed)
    SELECT
        (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        teachers.ids[1 + (n / 10) %% cardinality(teachers.ids)],
        'Course ' || n
            || CASE WHEN n %% 3 = 0 THEN ' {oud}' ELSE '' END
            || CASE WHEN n %% 30 = 0 THEN ' {ney}' ELSE '' END
            || CASE WHEN n %% 200 = 0 THEN ' {buzuq}' ELSE '' END
            || CASE WHEN n %% (%(size)s / 20) = 0 THEN ' {qanun}' ELSE '' END,
        (SELECT words FROM phrases WHERE number = n %% 9973)
            || ' ' || (SELECT words FROM phrases WHERE number = n / 7 %% 9967),
        10000, 'EGP',
        CASE WHEN n %% 10 = 9 THEN 'draft' ELSE 'published' END, false
    FROM generate_series(%(first)s::int, %(last)s::int) n,
        (SELECT array_agg(user_id) AS ids FROM teachers) teachers;
"""
CONTENTS = """
INSERT INTO nodes (id, url) VALUES ('node-1', 'http://localhost:8001') ON CONFLICT DO NOTHING;
INSERT INTO sections (id, course_id, title, position) SELECT id, id, 'First steps', 1 FROM courses;
INSERT INTO lessons (id, course_id, section_id, kind, title, position, is_preview)
    SELECT id, id, id, 'video', 'Holding it', 1, false FROM courses;
INSERT INTO videos (id, kind, title, lesson_id, course_id, owner_id, node_id, size, sha256, media_type, duration_s,
        status, reason, renditions, description, piece_name, composer, practice_goals, is_public)
    SELECT id, 'course', '', id, id, teacher_id, 'node-1', 1000000, repeat('ab', 32), 'video/mp4', 60,
        'ready', '', '[]', '', '', '', '', false
    FROM courses;
"""


@dataclass(frozen=True)
class _Index:
    table: str
    name: str
    definition: str


def _droppable(connection: psycopg.Connection) -> list[_Index]:
    """All but those that a constraint has."""
    found = connection.execute(
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [list(TABLES)],
    )
    return [_Index(*row) for row in found]


@contextmanager
def _filling(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '512MB'")
        if connection.info.parameter_status("is_superuser") == "on":
            connection.execute("SET session_replication_role = replica")  # seven million foreign keys, right as written
        yield connection


def _prepare(url: str, size: int) -> list[_Index]:
    """The teachers are there then, and indexes not, which are to be made again."""
    with _filling(url) as connection:
        indexes = _droppable(connection)
        for index in indexes:
            connection.execute(f"DROP INDEX {index.name}".encode())
        for statement in _statements(TEACHERS.format(each=COURSES_A_TEACHER)):
            connection.execute(statement, {"size": size} if b"%(size)s" in statement else None)
    return indexes


def _statements(script: str) -> list[bytes]:
    return [statement.encode() for statement in script.split(";\n") if statement.strip()]


def _write_courses(url: str, size: int, first: int, last: int) -> None:
    words = {"oud": IN_THREE, "ney": IN_THIRTY, "buzuq": IN_TWO_HUNDRED, "qanun": IN_TWENTY}
    with _filling(url) as connection:
        *before, courses = _statements(COURSES.format(**words))
        for statement in before:
            connection.execute(statement)
        connection.execute(courses, {"size": size, "first": first, "last": last})


def _write(url: str, script: str, indexes: list[_Index]) -> None:
    with _filling(url) as connection:
        for statement in [*_statements(script), *(index.definition.encode() for index in indexes)]:
            connection.execute(statement)


def _vacuum(url: str, table: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"VACUUM ANALYZE {table}".encode())


def fill(url: str, size: int) -> None:
    """A multiple of 1,000 courses, nine of ten published, each with a video, in a database without any.

    A process of PostgreSQL uses one processor: of many courses two of them write half each.
    """
    indexes = _prepare(url, size)
    of_courses = [index for index in indexes if index.table == "courses"]
    others = [index for index in indexes if index.table != "courses"]
    parts = [(1, size)] if size < MANY else [(1, size // 2), (size // 2 + 1, size)]
    _at_once(*(partial(_write_courses, url, size, *part) for part in parts))
    _at_once(partial(_write, url, "", of_courses), partial(_write, url, CONTENTS, others))
    _at_once(*(partial(_vacuum, url, table) for table in TABLES))


def _at_once(*works: Callable[[], None]) -> None:
    with ThreadPoolExecutor(2) as threads:
        for begun in [threads.submit(work) for work in works]:
            begun.result()
