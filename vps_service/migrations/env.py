"""Alembic's entry; the URL comes from `vps_service.migrate`."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from vps_service.models import Base

ONE_AT_A_TIME = 7_607_827  # any number, the same in every process that migrates


def run() -> None:
    engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
        context.run_migrations()
    engine.dispose()


run()
