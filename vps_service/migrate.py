"""`toptank migrate`: bring the database to this release's schema."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from shared import logs
from shared.settings import load, stop
from vps_service.db import Sessions, database_url, make_engine
from vps_service.settings import DatabaseSettings

Result = TypeVar("Result")


class DatabaseNotReady(Exception):
    """Unreachable, not in UTF-8, or not at this release's schema; the message is for the operator."""


def alembic_config(settings: DatabaseSettings) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["url"] = database_url(settings)
    return config


async def check_ready(settings: DatabaseSettings, *, migrated: bool = True) -> None:
    """Raises DatabaseNotReady. With `migrated`, the schema has to be this release's."""
    engine = make_engine(settings)
    try:
        async with engine.connect() as connection:
            if (encoding := await connection.scalar(text("SHOW server_encoding"))) != "UTF8":
                raise DatabaseNotReady(f"the database's encoding is {encoding}, not UTF8")
            if migrated:
                await _check_schema(connection, settings)
    except (DBAPIError, OSError) as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()
        shown = engine.url.render_as_string(hide_password=True)
        raise DatabaseNotReady(f"the database {shown} cannot be reached: {reason[0]}") from None
    finally:
        await engine.dispose()


async def _check_schema(connection: AsyncConnection, settings: DatabaseSettings) -> None:
    here = await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    wanted = ScriptDirectory.from_config(alembic_config(settings)).get_current_head()
    if here != wanted:
        raise DatabaseNotReady(f"the database is at {here or 'no schema'}, not {wanted}: run toptank migrate")


async def with_database(settings: DatabaseSettings, work: Callable[[Sessions], Awaitable[Result]]) -> Result:
    """Do an operator's work on a database that is ready. Raises DatabaseNotReady."""
    await check_ready(settings)
    sessions = Sessions(settings)
    try:
        return await work(sessions)
    finally:
        await sessions.close()


def migrate(settings: DatabaseSettings) -> None:
    command.upgrade(alembic_config(settings), "head")


def main() -> None:
    settings = load(DatabaseSettings)
    logs.configure("migrate", settings.log_level)
    try:
        asyncio.run(check_ready(settings, migrated=False))
    except DatabaseNotReady as error:
        stop(str(error))
    migrate(settings)
    sys.stdout.write("the database is up to date\n")


if __name__ == "__main__":
    main()
