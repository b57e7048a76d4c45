"""Passwords: what is acceptable, and bcrypt off the event loop behind a small gate."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import bcrypt
from zxcvbn import zxcvbn

from shared.problems import Invalid
from vps_service.accounts.errors import TooManyPasswords

MIN_CHARACTERS, MAX_BYTES, MIN_SCORE = 8, 72, 2
SCORED_CHARACTERS = 24
"""zxcvbn takes seconds for 72 characters made to be hard for it, and tenths of a second for these."""


def check_form(password: str, field: str) -> None:
    """Raises Invalid, naming what is wrong. bcrypt reads no more than 72 bytes, so more are refused, not cut."""
    if len(password) < MIN_CHARACTERS:
        raise Invalid(f"must have at least {MIN_CHARACTERS} characters", field=field)
    if len(password.encode()) > MAX_BYTES:
        raise Invalid(f"must have at most {MAX_BYTES} bytes in UTF-8", field=field)
    if "\0" in password:
        raise Invalid("must not contain a NUL character", field=field)


def _cost(password_hash: bytes) -> int:
    return int(password_hash.split(b"$")[2])


def _fits(secret: bytes, against: bytes, cost: int) -> bool:
    """A no of a cheaper hash is followed by what is missing to `cost`, each step of which is twice the work."""
    if bcrypt.checkpw(secret, against):
        return True
    for missing in range(_cost(against), cost):
        bcrypt.hashpw(b"", bcrypt.gensalt(missing))
    return False


class Hasher:
    """bcrypt and zxcvbn in threads, no more at once than leaves a core to everybody else.

    `waiting` passwords may wait for their turn. To have more wait would not get them done, only remembered: each of
    the methods raises TooManyPasswords instead.
    """

    def __init__(self, cost: int, waiting: int = 32) -> None:
        self.cost = cost
        at_once = max(1, (os.cpu_count() or 2) - 1)
        self._gate = asyncio.Semaphore(at_once)
        self._places = waiting
        self._sign_ins = waiting + at_once
        self._nobody = bcrypt.hashpw(os.urandom(16), bcrypt.gensalt(cost))

    @contextmanager
    def place(self) -> Iterator[None]:
        """For a whole sign-in, before anything is done for it in vain: a flood of them would keep every connection to
        the database, only to be refused then. Raises TooManyPasswords.
        """
        if self._sign_ins == 0 or self._is_full():
            raise TooManyPasswords
        self._sign_ins -= 1
        try:
            yield
        finally:
            self._sign_ins += 1

    def _is_full(self) -> bool:
        return self._gate.locked() and self._places == 0

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._is_full():
            raise TooManyPasswords
        self._places -= 1
        try:
            await self._gate.acquire()
        finally:
            self._places += 1
        try:
            yield
        finally:
            self._gate.release()

    async def check_strength(self, password: str, *about_user: str, field: str = "body.password") -> None:
        """Raises Invalid for a password that could not be hashed or is easy to guess."""
        check_form(password, field)
        async with self._turn():
            found = await asyncio.to_thread(zxcvbn, password[:SCORED_CHARACTERS], user_inputs=list(about_user))
        if found["score"] < MIN_SCORE:
            raise Invalid("is too easy to guess", field=field)

    async def hash(self, password: str) -> str:
        async with self._turn():
            return (await asyncio.to_thread(bcrypt.hashpw, password.encode(), bcrypt.gensalt(self.cost))).decode()

    async def fits(self, password: str, password_hash: str | None) -> bool:
        """Whether the password fits. A no takes as long for an unknown user (no hash) and for an outdated hash."""
        return (await self.which_fit(password, [password_hash]))[0]

    async def which_fit(self, password: str, hashes: Sequence[str | None]) -> list[bool]:
        """As `fits` of each, in one turn; all are looked at, whichever of them fits."""
        async with self._turn():
            return [await self._compare(password.encode(), password_hash) for password_hash in hashes]

    async def _compare(self, secret: bytes, password_hash: str | None) -> bool:
        usable = password_hash is not None and password_hash.startswith("$2")
        comparable = usable and len(secret) <= MAX_BYTES and b"\0" not in secret
        against = password_hash.encode() if password_hash and comparable else self._nobody
        same = await asyncio.to_thread(_fits, secret if comparable else b"", against, self.cost)
        return same and comparable

    def is_outdated(self, password_hash: str) -> bool:
        """Whether it was made when hashing cost less than it does now."""
        return _cost(password_hash.encode()) < self.cost
