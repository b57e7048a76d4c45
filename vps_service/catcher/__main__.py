"""`toptank catcher`: run the mail catcher."""

import logging

from shared import logs
from shared.ports import bind
from shared.serving import serve
from shared.settings import load, stop
from vps_service.catcher.app import create_app
from vps_service.catcher.settings import CatcherSettings


def main() -> None:
    settings = load(CatcherSettings)
    if settings.environment == "production":
        stop("the mail catcher refuses to run in production")
    logs.configure("catcher", settings.log_level)
    logging.getLogger("mail.log").setLevel(logging.WARNING)  # aiosmtpd's; it tells of every command
    host, port = settings.catcher_host, settings.catcher_smtp_port
    try:
        smtp = bind(host, port)
    except OSError as error:
        stop(f"cannot listen on {host}:{port} ({error.strerror}); set TOPTANK_CATCHER_SMTP_PORT to another port")
    serve(lambda: create_app(settings, smtp), host, settings.catcher_port, "TOPTANK_CATCHER_PORT")


if __name__ == "__main__":
    main()
