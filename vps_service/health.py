import asyncio

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from sqlalchemy import text
from sqlalchemy.exc import InterfaceError, InternalError, OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from shared.health import Health
from shared.problems import Unavailable, problem_response, responses
from vps_service.db import Session

READY_WITHIN_S = 3

router = APIRouter(prefix="/health", tags=["service"])


class DatabaseUnreachable(Unavailable):
    code, title = "database_unreachable", "The database does not answer"


def answer_database_failures(app: FastAPI) -> None:
    """A database that is away is a 503 with Retry-After on every route, and one line in the log, not a traceback."""

    async def unreachable(_: Request, __: Exception) -> JSONResponse:
        return problem_response(DatabaseUnreachable())

    # An InternalError is what a standby that takes no writes answers.
    for failure in (OperationalError, InterfaceError, InternalError, PoolExhausted):
        app.add_exception_handler(failure, unreachable)


@router.get("/ready", summary="Can it answer requests?", responses=responses(DatabaseUnreachable))
async def ready(session: Session) -> Health:
    """It can when the database answers and has this product's tables."""
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            await session.execute(text("SELECT last FROM change_counter"))
    except TimeoutError:
        raise DatabaseUnreachable("It takes too long.") from None
    except ProgrammingError:
        raise DatabaseUnreachable("It has not been migrated.") from None
    return Health()
