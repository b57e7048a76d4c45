"""The signed-in viewer, for routes; the streaming path asks `Viewers` itself."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from cloud_service.access.models import Viewer
from cloud_service.node import DatabaseUnusable, current_node
from cloud_service.vps import VpsRefused, VpsUnreachable
from shared.problems import AppError, NotAuthenticated


class SignedIn(HTTPBearer):
    """One dependency that is both the check and its description in the OpenAPI document."""

    async def __call__(self, request: Request) -> Viewer:  # type: ignore[override]
        node = await current_node(request)
        return await node.viewers.identify(request.headers.get("authorization", ""))


CurrentViewer = Annotated[
    Viewer, Depends(SignedIn(scheme_name="HTTPBearer", description="An access token of the VPS."))
]
OF_VIEWERS: tuple[type[AppError], ...] = (NotAuthenticated, VpsUnreachable, VpsRefused, DatabaseUnusable)
"""What is answered wherever somebody has to be known: the VPS may have to be asked, if only for its keys."""
