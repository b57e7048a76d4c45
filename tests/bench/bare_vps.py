"""The VPS as `toptank vps` runs it, with one route more, which is all that its database can be asked in: SELECT 1,
in the way that it asks who somebody is."""

from fastapi import FastAPI
from sqlalchemy import text

from shared import logs
from shared.serving import serve
from shared.settings import load
from vps_service.app import create_app
from vps_service.db import Transactions
from vps_service.settings import VpsSettings

SELECT_1 = "/select-1"
QUESTION = text("SELECT 1")


def create_bare_vps(settings: VpsSettings) -> FastAPI:
    app = create_app(settings)

    @app.get(SELECT_1)
    async def select_1(sessions: Transactions) -> int:
        return int((await sessions.ask(lambda session: session.scalars(QUESTION))).one())

    app.router.routes.insert(0, app.router.routes.pop())  # or to find the route would be most of its work
    return app


def main() -> None:
    settings = load(VpsSettings)
    logs.configure("vps", settings.log_level)
    serve(lambda: create_bare_vps(settings), settings.vps_host, settings.vps_port, "TOPTANK_VPS_PORT")


if __name__ == "__main__":
    main()
