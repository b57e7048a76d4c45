"""`toptank simulator`: run the payment simulator."""

from shared import logs
from shared.serving import serve
from shared.settings import load, stop
from vps_service.simulator.app import create_app
from vps_service.simulator.settings import SimulatorSettings


def main() -> None:
    settings = load(SimulatorSettings)
    if settings.environment == "production":
        stop("the payment simulator refuses to run in production")
    logs.configure("simulator", settings.log_level)
    serve(
        lambda: create_app(settings),
        settings.simulator_host,
        settings.simulator_port,
        "TOPTANK_SIMULATOR_PORT",
    )


if __name__ == "__main__":
    main()
