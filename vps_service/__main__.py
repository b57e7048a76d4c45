"""`toptank vps`: run the VPS service."""

import asyncio

from shared import logs
from shared.serving import serve
from shared.settings import load, stop
from vps_service.app import create_app
from vps_service.migrate import DatabaseNotReady, check_ready
from vps_service.settings import VpsSettings


def main() -> None:
    settings = load(VpsSettings)
    logs.configure("vps", settings.log_level)
    try:
        asyncio.run(check_ready(settings))
    except DatabaseNotReady as error:
        stop(str(error))
    serve(lambda: create_app(settings), settings.vps_host, settings.vps_port, "TOPTANK_VPS_PORT")


if __name__ == "__main__":
    main()
