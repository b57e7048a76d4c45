"""One of our servers in a thread of the test's own process."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from shared.ports import bind


@contextmanager
def serving(config: uvicorn.Config, send_buffer: int | None = None) -> Iterator[tuple[int, uvicorn.Server]]:
    """With its port. What the system takes to send, in bytes, can be made less."""
    sock = bind("127.0.0.1", 0)
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    sock.listen()
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield sock.getsockname()[1], server
    finally:
        server.should_exit = True
        thread.join()
