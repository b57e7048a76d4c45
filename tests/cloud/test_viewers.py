"""Who is asking: checked with the keys that the VPS publishes, which forged tokens cannot make the node ask for."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cloud_service.access import viewers as module
from cloud_service.access.sessions import Sessions
from cloud_service.access.viewers import Viewers
from cloud_service.clock import VpsClock
from cloud_service.db import Database
from cloud_service.vps import Vps, VpsUnreachable
from shared.contract import ACCESS_KEYS
from shared.problems import NotAuthenticated
from shared.tokens import public_jwk, sign_access
from tests.cloud.made_up import MadeUpVps, Said, response_of
from tests.cloud.things import USER

pytestmark = pytest.mark.anyio

KEY, NEXT = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()


def bearer(key: Ed25519PrivateKey = KEY, life_s: int = 60, generation: int = 0) -> str:
    return f"Bearer {sign_access(key, USER, 'sara', 'student', life_s, generation=generation)}"


def published(*keys: Ed25519PrivateKey) -> dict[str, Any]:
    return {"keys": [public_jwk(key.public_key()) for key in keys]}


class Jwks:
    """What the VPS publishes now, or how it fails to, and how often it was asked."""

    def __init__(self, made_up: MadeUpVps) -> None:
        self._made_up = made_up
        self.says: Said = published(KEY)
        self._route = made_up.does("GET", ACCESS_KEYS, self._answer)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if isinstance(self.says, Exception):
            raise self.says
        return self._made_up.signed(request, response_of(self.says))

    @property
    def call_count(self) -> int:
        return self._route.call_count


@pytest.fixture
def jwks(made_up: MadeUpVps) -> Jwks:
    return Jwks(made_up)


@pytest.fixture
async def viewers(database: Database, vps: Vps, clock: VpsClock, jwks: Jwks) -> Viewers:
    viewers = Viewers(database, vps, clock, Sessions())
    await viewers.load()
    return viewers


async def test_a_token_of_a_session_that_has_ended_is_refused_though_it_was_let_in_before(
    database: Database, vps: Vps, clock: VpsClock, jwks: Jwks
) -> None:
    sessions, session_id = Sessions(), uuid4()
    viewers = Viewers(database, vps, clock, sessions)
    tokens = [f"Bearer {sign_access(KEY, USER, 'sara', 'student', 60, session_id=one)}" for one in (session_id, None)]
    assert [(await viewers.identify(token)).session_id for token in tokens] == [str(session_id), ""]
    sessions.end([str(session_id), ""])
    with pytest.raises(NotAuthenticated):
        await viewers.identify(tokens[0])
    assert await viewers.identify(tokens[1])


async def forged(viewers: Viewers) -> None:
    with pytest.raises(NotAuthenticated):
        await viewers.identify(bearer(Ed25519PrivateKey.generate()))


async def test_the_keys_are_fetched_for_the_first_token_and_kept_for_the_others(viewers: Viewers, jwks: Jwks) -> None:
    for _ in range(5):
        assert (await viewers.identify(bearer())).id == str(USER)
    assert jwks.call_count == 1


async def test_tokens_of_unknown_keys_are_one_call_to_the_vps_and_then_none(viewers: Viewers, jwks: Jwks) -> None:
    await asyncio.gather(*(forged(viewers) for _ in range(20)))
    for _ in range(20):
        await forged(viewers)
    assert jwks.call_count == 1
    assert (await viewers.identify(bearer())).id == str(USER)


async def test_while_the_vps_is_away_a_forged_token_is_a_forged_token(viewers: Viewers, jwks: Jwks) -> None:
    """Were each one asked about, nobody could tell a forgery from a failure."""
    await viewers.identify(bearer())
    jwks.says = httpx.ConnectError("down")
    for _ in range(5):
        await forged(viewers)
    assert jwks.call_count == 1
    assert (await viewers.identify(bearer())).id == str(USER)


async def test_while_the_keys_cannot_be_fetched_nobody_is_called_a_forger(
    viewers: Viewers, database: Database, vps: Vps, clock: VpsClock, jwks: Jwks
) -> None:
    await viewers.identify(bearer())
    again = Viewers(database, vps, clock, Sessions())
    await again.load()
    jwks.says = httpx.ConnectError("down")
    for _ in range(3):
        with pytest.raises(VpsUnreachable):
            await again.identify(bearer(NEXT))


async def test_after_a_while_a_new_key_is_learnt(viewers: Viewers, jwks: Jwks, monkeypatch: pytest.MonkeyPatch) -> None:
    await viewers.identify(bearer())
    jwks.says = published(KEY, NEXT)
    with pytest.raises(NotAuthenticated):
        await viewers.identify(bearer(NEXT))
    monkeypatch.setattr(module, "REFRESH_AT_MOST_EVERY_S", 0)
    assert (await viewers.identify(bearer(NEXT))).id == str(USER)


async def test_once_a_key_is_known_to_be_withdrawn_its_tokens_are_refused_though_they_were_let_in_before(
    viewers: Viewers, jwks: Jwks, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = bearer()
    assert await viewers.identify(token)
    jwks.says = published(NEXT)
    monkeypatch.setattr(module, "REFRESH_AT_MOST_EVERY_S", 0)
    assert await viewers.identify(bearer(NEXT))
    with pytest.raises(NotAuthenticated):
        await viewers.identify(token)


async def test_without_any_keys_every_token_is_asked_about_until_they_are_there(viewers: Viewers, jwks: Jwks) -> None:
    jwks.says = httpx.ConnectError("down")
    for _ in range(2):
        with pytest.raises(VpsUnreachable):
            await viewers.identify(bearer())
    jwks.says = published(KEY)
    assert (await viewers.identify(bearer())).id == str(USER)


async def test_a_restarted_node_knows_the_keys_of_last_time(
    viewers: Viewers, database: Database, vps: Vps, clock: VpsClock, jwks: Jwks
) -> None:
    await viewers.identify(bearer())
    jwks.says = httpx.ConnectError("down")
    again = Viewers(database, vps, clock, Sessions())
    await again.load()
    assert (await again.identify(bearer())).id == str(USER)


async def test_keys_that_the_vps_has_not_signed_open_nothing(viewers: Viewers, made_up: MadeUpVps) -> None:
    """Whoever is in between could else publish a key of their own."""
    made_up.does("GET", ACCESS_KEYS, lambda _: httpx.Response(200, json=published(NEXT)))
    with pytest.raises(VpsUnreachable):
        await viewers.identify(bearer(NEXT))


async def test_the_generation_of_a_token_is_known(viewers: Viewers) -> None:
    assert (await viewers.identify(bearer(generation=7))).generation == 7


@pytest.mark.parametrize("ahead_s", [3600, -3600])
async def test_a_tokens_age_is_judged_by_the_clock_of_the_vps(viewers: Viewers, clock: VpsClock, ahead_s: int) -> None:
    """To which a token of this machine's time has long expired, or is from the future."""
    token = bearer()
    assert await viewers.identify(token)
    clock.told(int(time.time()) + ahead_s)
    with pytest.raises(NotAuthenticated):
        await viewers.identify(bearer())
    clock.told(int(time.time()))
    assert await viewers.identify(token)


async def test_a_token_that_was_let_in_before_expires_by_the_clock_of_the_vps(
    viewers: Viewers, clock: VpsClock
) -> None:
    token = bearer(life_s=60)
    assert await viewers.identify(token)
    clock.told(int(time.time()) + 100)
    with pytest.raises(NotAuthenticated):
        await viewers.identify(token)
