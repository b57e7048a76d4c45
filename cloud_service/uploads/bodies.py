"""The body of an upload as it arrives."""

from collections.abc import AsyncIterator

from fastapi import Request
from starlette.requests import ClientDisconnect

from cloud_service.uploads.errors import UploadDropped


async def body_of(request: Request) -> AsyncIterator[bytes]:
    """Raises UploadDropped when the client goes away."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect:
        raise UploadDropped from None
