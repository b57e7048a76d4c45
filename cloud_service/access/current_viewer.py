"""The signed-in viewer, for routes; the streaming path asks `Viewers` itself."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPBearer

from cloud_service.access.models import Viewer
from cloud_service.node import current_node


class SignedIn(HTTPBearer):
    """One dependency that is both the check and its description in the OpenAPI document."""

    async def __call__(self, request: Request) -> Viewer:  # type: ignore[override]
        node = await current_node(request)
        return await node.viewers.identify(request.headers.get("authorization", ""))


CurrentViewer = Annotated[
    Viewer, Depends(SignedIn(scheme_name="HTTPBearer", description="An access token of the VPS."))
]
