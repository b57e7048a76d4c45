"""The wire itself: what passes, what waits, and what breaks."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.faults.link import Direction, Link

SHORT_S = 0.2


class Echo:
    """A VPS of one connection: says back what it hears."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.heard: list[bytes] = []
        self.pool = ThreadPoolExecutor(8)
        self.accepting = self.pool.submit(self._accept)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.pool.submit(self._answer, connection)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            while data := connection.recv(1000):
                self.heard.append(data)
                connection.sendall(data)

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.pool.shutdown()


@pytest.fixture
def echo() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture
def link(echo: Echo) -> Iterator[Link]:
    link = Link(echo.listener.getsockname()[1])
    yield link
    link.close()


def connected(link: Link) -> socket.socket:
    return socket.create_connection(("127.0.0.1", link.port), timeout=5)


def is_silent(end: socket.socket) -> bool:
    end.settimeout(SHORT_S)
    try:
        return end.recv(1000) is None
    except TimeoutError:
        return True
    finally:
        end.settimeout(5)


def test_it_passes_everything_on(link: Link) -> None:
    with connected(link) as end:
        end.sendall(b"one")
        assert end.recv(1000) == b"one"


@pytest.mark.parametrize("direction", ["to_vps", "to_node"])
def test_a_cut_direction_is_silent_and_goes_on_when_healed(link: Link, echo: Echo, direction: Direction) -> None:
    with connected(link) as end:
        end.sendall(b"one")
        assert end.recv(1000) == b"one"
        link.cut(direction)
        end.sendall(b"two")
        assert is_silent(end)
        assert echo.heard[1:] == ([] if direction == "to_vps" else [b"two"])
        link.heal()
        assert end.recv(1000) == b"two"


def test_a_silent_cut_takes_connections_and_answers_nothing(link: Link, echo: Echo) -> None:
    link.cut()
    with connected(link) as end:
        end.sendall(b"one")
        assert is_silent(end)
        assert echo.heard == []
        link.heal()
        assert end.recv(1000) == b"one"


def test_a_loud_cut_breaks_what_is_open_and_what_is_new(link: Link) -> None:
    with connected(link) as end:
        end.sendall(b"one")
        assert end.recv(1000) == b"one"
        link.refuse()
        with pytest.raises(ConnectionError):
            end.recv(1000)
    with pytest.raises(ConnectionError), connected(link) as end:
        end.sendall(b"two")
        end.recv(1000)
        end.sendall(b"two")
    link.heal()
    with connected(link) as end:
        end.sendall(b"three")
        assert end.recv(1000) == b"three"


def test_a_slow_link_is_fast_as_soon_as_it_is_healed(link: Link) -> None:
    with connected(link) as end:
        link.delay(60)
        end.sendall(b"one")
        assert is_silent(end)
        link.heal()
        assert end.recv(1000) == b"one"


def test_an_end_that_closes_ends_the_other(link: Link, echo: Echo) -> None:
    with connected(link) as end:
        end.sendall(b"one")
        end.shutdown(socket.SHUT_WR)
        assert end.recv(1000) == b"one"
        assert end.recv(1000) == b""


def test_where_nobody_listens_the_caller_is_reset(link: Link, echo: Echo) -> None:
    echo.listener.shutdown(socket.SHUT_RDWR)
    echo.listener.close()
    echo.listener = socket.create_server(("127.0.0.1", 0))
    with pytest.raises(ConnectionError), connected(link) as end:
        end.sendall(b"one")
        end.recv(1000)
