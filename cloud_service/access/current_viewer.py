"""The signed-in viewer, for routes; the streaming path asks `Viewers` itself."""

from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from cloud_service.access.models import Viewer
from cloud_service.node import CurrentNode

bearer = HTTPBearer(auto_error=False, description="An access token of the VPS.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


async def current_viewer(request: Request, node: CurrentNode, _: Credentials) -> Viewer:
    return await node.viewers.identify(request.headers.get("authorization", ""))


CurrentViewer = Annotated[Viewer, Depends(current_viewer)]
