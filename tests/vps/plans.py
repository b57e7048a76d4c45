"""How PostgreSQL answers what the VPS asks it: which rows it looks at, those that do not fit too."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
from sqlalchemy import event

from tests.vps.running import Vps

LOOKED_AT = ("Actual Rows", "Rows Removed by Filter", "Rows Removed by Index Recheck")


class Watched:
    """The statements about one table that the VPS gives to its database, those that have these words, with values."""

    def __init__(self, vps: Vps, table: str, words: str = "") -> None:
        self.url, self.table, self.words = vps.settings.database_url, table, words
        self.asked: list[tuple[str, Any]] = []
        engine = vps.sessions.kw["bind"].sync_engine
        event.listen(engine, "before_cursor_execute", self._note)

    def _note(self, _: Any, __: Any, statement: str, values: Any, ___: Any, ____: Any) -> None:
        if self.table in statement and self.words in statement:
            self.asked.append((statement, values))

    def rows_read(self, *, general: bool = False) -> list[float]:
        """Of the table, by each statement: by a plan for these values, or a `general` one for any."""
        mode = "force_generic_plan" if general else "force_custom_plan"
        with psycopg.connect(self.url) as connection:
            connection.execute(f"SET plan_cache_mode = {mode}".encode())
            return [self._read(_plan(connection, statement, values)) for statement, values in self.asked]

    def _read(self, plan: dict[str, Any]) -> float:
        scans = _scans(plan, self.table)
        return float(sum(one["Actual Loops"] * sum(one.get(name, 0) for name in LOOKED_AT) for one in scans))


def _scans(plan: dict[str, Any], table: str) -> Iterator[dict[str, Any]]:
    """The parts of a plan that read the table itself."""
    if plan.get("Relation Name") == table:
        yield plan
    for part in plan.get("Plans", []):
        yield from _scans(part, table)


def _plan(connection: psycopg.Connection, statement: str, values: Any) -> dict[str, Any]:
    """Explained as a prepared statement, which has plans of both kinds."""
    names = list(values)
    numbered = statement % {name: f"${number}" for number, name in enumerate(names, 1)}
    connection.execute(f"PREPARE asked AS {numbered}".encode())
    with psycopg.ClientCursor(connection) as cursor:
        given = ", ".join(["%s"] * len(names))
        call = f"EXECUTE asked({given})" if names else "EXECUTE asked"
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {call}".encode(), [values[name] for name in names])
        ((found,),) = cursor.fetchall()
    connection.execute("DEALLOCATE asked")
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan
