"""Alembic's entry; the URL comes from `vps_service.migrate`."""

from alembic import context
from sqlalchemy import create_engine, pool, text

from vps_service.models import Base

ONE_AT_A_TIME = 7_607_827  # any number, the same in every process that migrates


WHERE_IT_CAN_BE = ("ix_users_teachers_by_name", "ix_users_by_all")
"""Indexes that need pg_trgm, which not every server has: no difference between database and models."""


def compared(_: object, name: str | None, kind: str, *__: object) -> bool:
    return kind != "index" or name not in WHERE_IT_CAN_BE


def run() -> None:
    engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
    with engine.begin() as connection:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        context.configure(
            connection=connection, target_metadata=Base.metadata, compare_type=True, include_object=compared
        )
        context.run_migrations()
    engine.dispose()


run()
