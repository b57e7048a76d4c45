"""`toptank cloud`: run a Cloud node."""

from cloud_service.app import create_app
from cloud_service.settings import CloudSettings
from shared import logs
from shared.serving import serve
from shared.settings import load


def main() -> None:
    settings = load(CloudSettings)
    logs.configure(settings.node_id, settings.log_level)
    serve(lambda: create_app(settings), settings.cloud_host, settings.cloud_port, "TOPTANK_CLOUD_PORT")


if __name__ == "__main__":
    main()
