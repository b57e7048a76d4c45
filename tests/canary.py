"""An address that nobody of ours has a reason to call, and that tells whether somebody did."""

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class Canary:
    """Listens; whoever connects is counted, told `answer` and hung up on."""

    def __init__(self, answer: bytes = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n") -> None:
        self.heard: list[bytes] = []
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()

    def _listen(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.heard.append(b"")
            with connection, suppress(OSError):
                connection.settimeout(2)
                self.heard[-1] = connection.recv(65536)
                connection.sendall(self._answer)
