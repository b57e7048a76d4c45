"""Who is asking: checked with the keys that the VPS publishes, which forged tokens cannot make the node ask for."""

import asyncio
from uuid import uuid4

import httpx
import pytest
import respx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_service.access import viewers as module
from cloud_service.access.viewers import Viewers
from cloud_service.db import Database
from shared.contract import JWKS
from shared.peer import Peer, PeerUnreachable
from shared.problems import NotAuthenticated
from shared.tokens import public_jwk, sign_access

pytestmark = pytest.mark.anyio

KEY, NEXT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def bearer(key: Ed25519PrivateKey = KEY) -> str:
    return f"Bearer {sign_access(key, uuid4(), 'sara', 'student', 60)}"


def published(*keys: Ed25519PrivateKey) -> httpx.Response:
    return httpx.Response(200, json={"keys": [public_jwk(key.public_key()) for key in keys]})


@pytest.fixture
def jwks(vps: respx.MockRouter) -> respx.Route:
    return vps.get(JWKS).mock(return_value=published(KEY))


@pytest.fixture
async def viewers(database: Database, peer: Peer, jwks: respx.Route) -> Viewers:
    viewers = Viewers(database, peer)
    await viewers.load()
    return viewers


async def forged(viewers: Viewers) -> None:
    with pytest.raises(NotAuthenticated):
        await viewers.identify(bearer(Ed25519PrivateKey.generate()))


async def test_the_keys_are_fetched_for_the_first_token_and_kept_for_the_others(
    viewers: Viewers, jwks: respx.Route
) -> None:
    for _ in range(5):
        assert (await viewers.identify(bearer())).username == "sara"
    assert jwks.call_count == 1


async def test_tokens_of_unknown_keys_are_one_call_to_the_vps_and_then_none(
    viewers: Viewers, jwks: respx.Route
) -> None:
    await asyncio.gather(*(forged(viewers) for _ in range(20)))
    for _ in range(20):
        await forged(viewers)
    assert jwks.call_count == 1
    assert (await viewers.identify(bearer())).username == "sara"


async def test_while_the_vps_is_away_a_forged_token_is_a_forged_token(viewers: Viewers, jwks: respx.Route) -> None:
    """Were each one asked about, nobody could tell a forgery from a failure."""
    await viewers.identify(bearer())
    jwks.mock(side_effect=httpx.ConnectError)
    for _ in range(5):
        await forged(viewers)
    assert jwks.call_count == 1
    assert (await viewers.identify(bearer())).username == "sara"


async def test_a_fetch_that_fails_is_not_repeated_at_once_either(
    viewers: Viewers, database: Database, peer: Peer, jwks: respx.Route
) -> None:
    await viewers.identify(bearer())
    again = Viewers(database, peer)
    await again.load()
    jwks.mock(side_effect=httpx.ConnectError)
    with pytest.raises(PeerUnreachable):
        await again.identify(bearer(NEXT))
    for _ in range(3):
        await forged(again)
    assert jwks.call_count == 2


async def test_after_a_while_a_new_key_is_learnt(
    viewers: Viewers, jwks: respx.Route, monkeypatch: pytest.MonkeyPatch
) -> None:
    await viewers.identify(bearer())
    jwks.mock(return_value=published(KEY, NEXT))
    with pytest.raises(NotAuthenticated):
        await viewers.identify(bearer(NEXT))
    monkeypatch.setattr(module, "REFRESH_AT_MOST_EVERY_S", 0)
    assert (await viewers.identify(bearer(NEXT))).username == "sara"


async def test_without_any_keys_every_token_is_asked_about_until_they_are_there(
    viewers: Viewers, jwks: respx.Route
) -> None:
    jwks.mock(side_effect=httpx.ConnectError)
    for _ in range(2):
        with pytest.raises(PeerUnreachable):
            await viewers.identify(bearer())
    jwks.mock(return_value=published(KEY), side_effect=None)
    assert (await viewers.identify(bearer())).username == "sara"


async def test_a_restarted_node_knows_the_keys_of_last_time(
    viewers: Viewers, database: Database, peer: Peer, jwks: respx.Route
) -> None:
    await viewers.identify(bearer())
    jwks.mock(side_effect=httpx.ConnectError)
    again = Viewers(database, peer)
    await again.load()
    assert (await again.identify(bearer())).username == "sara"
