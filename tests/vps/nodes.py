"""More nodes than the first: admitted as an operator does it, each with a key of its own."""

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.vps.running import Node, Vps
from vps_service.nodes.actions import admit_node


def public_pem(*keys: Ed25519PrivateKey) -> str:
    """The public keys as one file of an operator holds them."""
    how = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    return "".join(key.public_key().public_bytes(*how).decode() for key in keys)


def node_with(vps: Vps, name: str, key: Ed25519PrivateKey) -> Node:
    """Whoever calls itself so and has this key, admitted or not."""
    return Node(vps.http, name, key, vps.settings.vps_key.public_key())


async def admit(vps: Vps, name: str, *keys: Ed25519PrivateKey) -> None:
    """As `toptank add-node` does."""
    async with vps.sessions() as session, session.begin():
        await admit_node(session, name, public_pem(*keys))


async def another_node(vps: Vps, name: str = "node-2", **report: object) -> Node:
    """A node that was admitted and has reported."""
    key = Ed25519PrivateKey.generate()
    await admit(vps, name, key)
    node = node_with(vps, name, key)
    (await node.report(**report)).raise_for_status()
    return node
