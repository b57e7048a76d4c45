"""The mail catcher as a process of its own."""

from pathlib import Path
from typing import Any

import httpx

from tests.processes import Process, free_port


class Catcher:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port, self.smtp_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            "TOPTANK_ENVIRONMENT": "local",
            "TOPTANK_DATA_DIR": str(folder),
            "TOPTANK_CATCHER_PORT": str(self.port),
            "TOPTANK_CATCHER_SMTP_PORT": str(self.smtp_port),
        }
        self._process: Process | None = None

    def start(self, **changes: str) -> None:
        log = self.folder / "catcher.log"
        self._process = Process("vps_service.catcher", self.port, self.environment | changes, log)

    def stop(self) -> None:
        if self._process:
            self._process.stop()
        self._process = None

    def mails(self, to: str | None = None) -> list[dict[str, Any]]:
        """The newest first."""
        answer = httpx.get(f"{self.url}/api/mails", params={"to": to} if to else {})
        assert answer.status_code == 200, answer.text
        mails: list[dict[str, Any]] = answer.json()
        return mails
