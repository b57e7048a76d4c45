from typing import Literal

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from shared.problems import Unavailable, responses
from shared.schemas import Out
from vps_service.db import Transactions

router = APIRouter(prefix="/health", tags=["service"])


class Health(Out):
    status: Literal["ok"] = "ok"


class DatabaseUnreachable(Unavailable):
    code, title = "database_unreachable", "The database does not answer"


@router.get("/live", summary="Is the process alive?")
async def live() -> Health:
    return Health()


@router.get("/ready", summary="Can it answer requests?", responses=responses(DatabaseUnreachable))
async def ready(sessions: Transactions) -> Health:
    try:
        async with sessions() as session:
            await session.execute(text("SELECT last FROM change_counter"))
    except (SQLAlchemyError, OSError):
        raise DatabaseUnreachable from None
    return Health()
