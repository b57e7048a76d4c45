"""The VPS as `toptank vps` runs it, with one route more, which is all that its database can be asked in: SELECT 1."""

from fastapi import FastAPI
from sqlalchemy import text

from shared import logs
from shared.serving import serve
from shared.settings import load
from vps_service.app import create_app
from vps_service.db import Transactions
from vps_service.settings import VpsSettings

SELECT_1 = "/select-1"


def create_bare_vps(settings: VpsSettings) -> FastAPI:
    app = create_app(settings)

    @app.get(SELECT_1)
    async def select_1(sessions: Transactions) -> int:
        async with sessions() as session:
            return int((await session.execute(text("SELECT 1"))).scalar_one())

    return app


def main() -> None:
    settings = load(VpsSettings)
    logs.configure("vps", settings.log_level)
    serve(lambda: create_bare_vps(settings), settings.vps_host, settings.vps_port, "TOPTANK_VPS_PORT")


if __name__ == "__main__":
    main()
