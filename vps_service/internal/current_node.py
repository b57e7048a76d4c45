"""Which node is calling: the dependency of every route under /internal."""

from typing import Annotated

from fastapi import Depends, Request

from shared.service_calls import calling_peer


async def current_node(request: Request) -> str:
    return await calling_peer(request, request.app.state.service_verifier)


CurrentNode = Annotated[str, Depends(current_node)]
