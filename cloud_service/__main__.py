"""`toptank cloud`: run a Cloud node."""

from cloud_service.app import create_app
from cloud_service.db import FILE, NewerSchema, check_release
from cloud_service.media.kernel import check_kernel
from cloud_service.middleware import is_fast
from cloud_service.settings import CloudSettings
from shared import logs
from shared.folders import FolderInUse, hold
from shared.serving import serve
from shared.settings import load, stop


def main() -> None:
    settings = load(CloudSettings)
    logs.configure(settings.node_id, settings.log_level)
    check_kernel(settings)
    try:
        lock = hold(settings.folder)  # a second node in the same folder would sweep away the first one's uploads
        check_release(settings.folder / FILE)
    except (FolderInUse, NewerSchema) as error:
        stop(str(error))
    except OSError as error:
        stop(f"{settings.folder} cannot be used: {error.strerror}")
    with lock:
        serve(lambda: create_app(settings), settings.cloud_host, settings.cloud_port, "TOPTANK_CLOUD_PORT", is_fast)


if __name__ == "__main__":
    main()
