"""Who is asking: access tokens checked offline with the VPS's published keys, and each only once."""

import logging
import sqlite3

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cloud_service.access.models import Viewer
from cloud_service.access.sessions import Sessions
from cloud_service.access.single_flight import SingleFlight
from cloud_service.clock import VpsClock, uptime
from cloud_service.db import Database
from cloud_service.vps import Vps
from shared.contract import ACCESS_KEYS, Jwks
from shared.problems import NotAuthenticated
from shared.tokens import InvalidToken, UnknownKey, keys_from_jwks, verify_access

log = logging.getLogger(__name__)

REFRESH_AT_MOST_EVERY_S = 10
MAX_VERIFIED = 50_000
REMEMBERED_AS = "jwks"


class Viewers:
    def __init__(self, database: Database, vps: Vps, clock: VpsClock, sessions: Sessions) -> None:
        self._database, self._vps, self._clock, self._sessions = database, vps, clock, sessions
        self._keys: dict[str, Ed25519PublicKey] = {}
        self._verified: dict[str, Viewer] = {}
        self._refreshing: SingleFlight[None] = SingleFlight()
        self._refreshed_at = float("-inf")

    async def load(self) -> None:
        """The keys of last time, so that a restart while the VPS is away locks nobody out."""
        rows = await self._database.fetch("SELECT value FROM remembered WHERE name = ?", (REMEMBERED_AS,))
        if rows:
            self._keys = keys_from_jwks(Jwks.model_validate_json(rows[0]["value"]).model_dump())

    def known(self, token: str) -> Viewer | None:
        """The viewer of a token that was verified before and has not expired."""
        viewer = self._verified.get(token)
        if viewer is not None and viewer.expires_at > self._clock.now():
            return viewer
        return None

    async def identify(self, authorization: str) -> Viewer:
        """The viewer, from an Authorization header. Raises NotAuthenticated, and Unavailable without any keys."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated
        viewer = self.known(token) or await self._verify(token)
        if self._sessions.have_ended(viewer.session_id):
            raise NotAuthenticated
        return viewer

    async def _verify(self, token: str) -> Viewer:
        try:
            try:
                claims = verify_access(token, self._keys, self._clock.now)
            except UnknownKey:
                await self._refresh_keys()
                claims = verify_access(token, self._keys, self._clock.now)
        except InvalidToken:
            raise NotAuthenticated from None
        viewer = Viewer.from_claims(claims)
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        self._verified[token] = viewer
        return viewer

    async def _refresh_keys(self) -> None:
        """Once, however many ask; and not again for a while, so that forged key ids do not become calls."""
        if self._keys and uptime() - self._refreshed_at < REFRESH_AT_MOST_EVERY_S:
            return
        await self._refreshing.run(ACCESS_KEYS, self._fetch_keys)

    async def _fetch_keys(self) -> None:
        jwks = await self._vps.get(ACCESS_KEYS, Jwks)
        self._refreshed_at = uptime()
        self._keys = keys_from_jwks(jwks.model_dump())
        self._verified.clear()  # by a key, perhaps, that has been withdrawn
        try:
            async with self._database.transaction() as transaction:
                remembered = "INSERT OR REPLACE INTO remembered (name, value) VALUES (?, ?)"
                await transaction.execute(remembered, (REMEMBERED_AS, jwks.model_dump_json()))
        except sqlite3.Error:
            log.exception("the keys were not remembered")  # they hold all the same
