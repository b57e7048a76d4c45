"""The way to PostgreSQL: one engine a process, one transaction a request, committed before the answer."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from math import ceil
from typing import Annotated, Any, TypeVar
from uuid import UUID

import psycopg
from fastapi import Depends, Request
from sqlalchemy import DateTime, MetaData, event, func
from sqlalchemy.engine import URL, ExceptionContext, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from uuid_utils.compat import uuid7

from shared.killpoints import killpoint
from vps_service.settings import DatabaseSettings


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {datetime: DateTime(timezone=True)}


class Row(Base):
    """What nearly every table has: a UUIDv7, so that ids sort by age, and the time it was made."""

    __abstract__ = True

    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid7)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


def database_url(settings: DatabaseSettings) -> URL:
    """The URL for SQLAlchemy: psycopg, with the password that came from its own setting."""
    url = make_url(settings.database_url).set(drivername="postgresql+psycopg")
    if settings.database_password:
        url = url.set(password=settings.database_password.get_secret_value())
    return url


SESSION_OPTIONS = "-c timezone=UTC -c statement_timeout=15s -c lock_timeout=5s"


def make_engine(settings: DatabaseSettings, **more: Any) -> AsyncEngine:
    pool = {"pool_size": settings.database_pool, "max_overflow": settings.database_pool, "pool_pre_ping": True}
    engine = create_async_engine(
        database_url(settings),
        pool_timeout=5,
        hide_parameters=True,  # they hold password hashes and addresses, and errors are logged
        connect_args={"connect_timeout": 5, "options": SESSION_OPTIONS, "client_encoding": "utf8"},
        **pool | more,
    )
    event.listen(engine.sync_engine, "handle_error", _leave_out_detail)
    return engine


def _leave_out_detail(context: ExceptionContext) -> None:
    """PostgreSQL's DETAIL repeats the row that it refused, so of its message only the first line stays."""
    error, wrapped = context.original_exception, context.sqlalchemy_exception
    if isinstance(error, psycopg.Error) and wrapped and (first := error.diag.message_primary):
        wrapped.args = (wrapped.args[0].replace(str(error), first), *wrapped.args[1:])
        error.args = (first,)


Answer = TypeVar("Answer")


class Sessions(async_sessionmaker[AsyncSession]):
    """Each `sessions()` is for one transaction.

    Single statements that only read, one with nearly every request, are asked without: for them there are some
    connections more. To switch one to and fro would cost as much as the transaction does.
    """

    def __init__(self, settings: DatabaseSettings) -> None:
        super().__init__(make_engine(settings), expire_on_commit=False)
        pool = {"pool_size": ceil(settings.database_pool / 2), "max_overflow": 0, "pool_pre_ping": False}
        self.questions = make_engine(settings, isolation_level="AUTOCOMMIT", skip_autocommit_rollback=True, **pool)

    async def ask(self, question: Callable[[AsyncSession], Awaitable[Answer]]) -> Answer:
        """What `question`, a statement that only reads, finds; asked anew if its connection was dead.

        To ask each connection before whether it lives would take as long as the question.
        """
        try:
            return await self._ask(question)
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
        return await self._ask(question)

    async def _ask(self, question: Callable[[AsyncSession], Awaitable[Answer]]) -> Answer:
        async with self(bind=self.questions) as session:
            return await question(session)

    async def close(self) -> None:
        for engine in (self.kw["bind"], self.questions):
            await engine.dispose()


async def get_sessions(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


async def get_session(sessions: Annotated[Sessions, Depends(get_sessions)]) -> AsyncIterator[AsyncSession]:
    async with sessions() as session, session.begin():
        yield session
    killpoint("request.committed")


Session = Annotated[AsyncSession, Depends(get_session, scope="function")]
"""One transaction around the route: a commit that fails is an error that the client sees."""

Transactions = Annotated[Sessions, Depends(get_sessions)]
"""For a use case that talks to somebody else between two transactions of its own."""
