"""Courses by the thousand or the million, written by the database itself: what lists and searches are tried on."""

from dataclasses import dataclass

import psycopg

TABLES = ("users", "teachers", "courses", "sections", "lessons", "videos")
COURSES_A_TEACHER = 100
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
INSERT INTO courses (id, teacher_id, title, description, price_amount, currency, status, downloads_allowed)
    SELECT
        (lpad(to_hex(1700000000000 + n), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,
        teachers.ids[1 + (n / 10) %% cardinality(teachers.ids)],
        'Course ' || n
            || CASE WHEN n %% 3 = 0 THEN ' {oud}' ELSE '' END
            || CASE WHEN n %% 30 = 0 THEN ' {ney}' ELSE '' END
            || CASE WHEN n %% 200 = 0 THEN ' {buzuq}' ELSE '' END
            || CASE WHEN n %% (%(size)s / 20) = 0 THEN ' {qanun}' ELSE '' END,
        words.description, 10000, 'EGP',
        CASE WHEN n %% 10 = 9 THEN 'draft' ELSE 'published' END, false
    FROM generate_series(1, %(size)s) n,
        (SELECT array_agg(user_id) AS ids FROM teachers) teachers,
        LATERAL (
            SELECT string_agg('word' || floor(power(random(), 3) * 20000 + (n + k) * 0)::int, ' ') AS description
            FROM generate_series(1, 30) k
        ) words;
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
    name: str
    definition: str


def _droppable(connection: psycopg.Connection) -> list[_Index]:
    """All but those that a constraint has."""
    found = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)"
        " AND indexname NOT IN (SELECT conname FROM pg_constraint)",
        [list(TABLES)],
    )
    return [_Index(name, definition) for name, definition in found]


def fill(url: str, size: int) -> None:
    """A multiple of 1,000 courses, nine of ten published, each with a video, in a database without any."""
    words = {"oud": IN_THREE, "ney": IN_THIRTY, "buzuq": IN_TWO_HUNDRED, "qanun": IN_TWENTY}
    with psycopg.connect(url) as connection:
        connection.execute("SET synchronous_commit = off")
        connection.execute("SET maintenance_work_mem = '512MB'")
        if connection.info.parameter_status("is_superuser") == "on":
            connection.execute("SET session_replication_role = replica")  # seven million foreign keys, right as written
        indexes = _droppable(connection)
        for index in indexes:
            connection.execute(f"DROP INDEX {index.name}".encode())
        script = TEACHERS.format(each=COURSES_A_TEACHER) + COURSES.format(**words) + CONTENTS
        for statement in filter(str.strip, script.split(";\n")):
            connection.execute(statement.encode(), {"size": size} if "%(size)s" in statement else None)
        for index in indexes:
            connection.execute(index.definition.encode())
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")
