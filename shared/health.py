"""What an orchestrator asks of either service; whether it is ready is each one's own question."""

from typing import Literal

from fastapi import APIRouter

from shared.schemas import Out

router = APIRouter(prefix="/health", tags=["service"])


class Health(Out):
    status: Literal["ok"] = "ok"


@router.get("/live", summary="Is the process alive?")
async def live() -> Health:
    return Health()
