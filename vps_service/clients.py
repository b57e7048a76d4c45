"""Where a request really comes from: the peer, unless it is a proxy that the operator trusts to say who asked it.

X-Forwarded-For is read from the right, where the proxy next to us wrote; what a client made up is further left.
"""

from collections.abc import Iterable
from contextvars import ContextVar
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode
from starlette.types import ASGIApp, Receive, Scope, Send

Network = IPv4Network | IPv6Network
SUBSCRIBER_BITS = 64
"""So much of an IPv6 address is the subscriber's; the rest they choose as they like."""

_current: ContextVar[str | None] = ContextVar("client_address", default=None)


def _networks(given: object) -> object:
    return given.replace(",", " ").split() if isinstance(given, str) else given


def _not_everybody(networks: tuple[Network, ...]) -> tuple[Network, ...]:
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError("must not be everybody: whoever is trusted can say that they are anybody")
    return networks


TrustedProxies = Annotated[tuple[Network, ...], NoDecode, BeforeValidator(_networks), AfterValidator(_not_everybody)]


def current_address() -> str | None:
    """The client of the request being answered here; None where nobody asked over HTTP."""
    return _current.get()


def current_subscriber() -> str:
    """By what clients are counted: the address, of an IPv6 address its network."""
    address = _address(current_address() or "")
    if isinstance(address, IPv6Address):
        return str(ip_network((address, SUBSCRIBER_BITS), strict=False))
    return str(address or "unknown")


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """As it stands in a header, with a port or without; None for what is no address."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def client_of(peer: str, forwarded: Iterable[str], trusted: Iterable[Network]) -> str:
    """The first address from the right that is no trusted proxy, or the last that one of them vouched for."""
    told = [entry for header in forwarded for entry in header.split(",")]
    client = _address(peer)
    while client and told and any(client in network for network in trusted):
        before = _address(told.pop())
        if before is None:
            break
        client = before
    return str(client or peer)


class TrueClient:
    """ASGI middleware: `client` of the request, and `current_address`, are who asked first."""

    def __init__(self, app: ASGIApp, trusted: Iterable[Network]) -> None:
        self.app, self.trusted = app, tuple(trusted)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("client"):
            peer, port = scope["client"]
            forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
            address = client_of(peer, forwarded, self.trusted)
            scope["client"] = (address, port if address == peer else 0)
            before = _current.set(address)
            try:
                await self.app(scope, receive, send)
            finally:
                _current.reset(before)
            return
        await self.app(scope, receive, send)
