from pydantic import Field

from shared.settings import Settings


class CatcherSettings(Settings):
    """`catcher_port` is the page's, `catcher_smtp_port` where mail is taken; the newest `catcher_mails` are kept."""

    catcher_host: str = "127.0.0.1"
    catcher_port: int = Field(8003, ge=1, le=65535)
    catcher_smtp_port: int = Field(8004, ge=1, le=65535)
    catcher_mails: int = Field(1000, ge=1)
