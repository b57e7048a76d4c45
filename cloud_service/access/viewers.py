"""Who is asking: access tokens checked offline with the VPS's published keys, and each only once."""

import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from cloud_service.access.models import Viewer
from cloud_service.access.single_flight import SingleFlight
from cloud_service.db import Database
from shared.contract import JWKS, Jwks
from shared.peer import Peer
from shared.problems import NotAuthenticated
from shared.tokens import InvalidToken, UnknownKey, keys_from_jwks, verify_access

REFRESH_AT_MOST_EVERY_S = 10
MAX_VERIFIED = 50_000
REMEMBERED_AS = "jwks"


class Viewers:
    def __init__(self, database: Database, vps: Peer) -> None:
        self._database, self._vps = database, vps
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
        if viewer is not None and viewer.expires_at > time.time():
            return viewer
        return None

    async def identify(self, authorization: str) -> Viewer:
        """The viewer, from an Authorization header. Raises NotAuthenticated, and Unavailable without any keys."""
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise NotAuthenticated
        return self.known(token) or await self._verify(token)

    async def _verify(self, token: str) -> Viewer:
        try:
            try:
                claims = verify_access(token, self._keys)
            except UnknownKey:
                await self._refresh_keys()
                claims = verify_access(token, self._keys)
        except InvalidToken:
            raise NotAuthenticated from None
        viewer = Viewer(str(claims.user_id), claims.username, claims.role, claims.expires_at)
        if len(self._verified) >= MAX_VERIFIED:
            self._verified.clear()
        self._verified[token] = viewer
        return viewer

    async def _refresh_keys(self) -> None:
        """Once, however many ask; and not again for a while, so that forged key ids do not become calls."""
        if self._keys and time.monotonic() - self._refreshed_at < REFRESH_AT_MOST_EVERY_S:
            return
        await self._refreshing.run(JWKS, self._fetch_keys)

    async def _fetch_keys(self) -> None:
        self._refreshed_at = time.monotonic()
        jwks = await self._vps.get(JWKS, Jwks)
        self._keys = keys_from_jwks(jwks.model_dump())
        async with self._database.transaction() as transaction:
            remembered = "INSERT OR REPLACE INTO remembered VALUES (?, ?)"
            await transaction.execute(remembered, (REMEMBERED_AS, jwks.model_dump_json()))
