"""What tus asks of every answer and every request at its addresses."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud_service.uploads.tus.headers import VERSION

FOLDER = "/uploads"
NOT_TUS = ("/uploads/permission",)
OVERRIDE = b"x-http-method-override"
RESUMABLE = (b"tus-resumable", VERSION.encode())


def is_tus(path: str) -> bool:
    return path == FOLDER or (path.startswith(f"{FOLDER}/") and path not in NOT_TUS)


class SpeaksTus:
    """ASGI middleware: `Tus-Resumable` on every answer, and `X-HTTP-Method-Override` for those who have no PATCH."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_tus(scope["path"]):
            await self.app(scope, receive, send)
            return

        async def speaking(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", []), RESUMABLE]
            await send(message)

        meant = next((value for name, value in scope["headers"] if name == OVERRIDE), None)
        if meant:
            scope = {**scope, "method": meant.decode("latin-1").upper()}
        await self.app(scope, receive, speaking)
