"""Who is asking: the dependencies that routes name to say who may call them."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared.problems import NotAuthenticated
from shared.tokens import AccessClaims, InvalidToken, Role
from vps_service.accounts.errors import TotpEnrolmentRequired, WrongRole
from vps_service.accounts.models import User
from vps_service.accounts.queries import signed_in_user
from vps_service.accounts.sessions import Device
from vps_service.db import Transactions
from vps_service.vps import CurrentVps, Vps

bearer = HTTPBearer(auto_error=False, description="An access token from register, login or refresh.")
Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]


def claims_of(request: Request, credentials: HTTPAuthorizationCredentials | None, vps: Vps) -> AccessClaims | None:
    """What the token says, or None without one. A bad token is an error, not a stranger."""
    if credentials is None:
        if "authorization" in request.headers:
            raise NotAuthenticated
        return None
    try:
        return vps.access_tokens.claims(credentials.credentials)
    except InvalidToken:
        raise NotAuthenticated from None


async def known_user(
    request: Request, credentials: Credentials, sessions: Transactions, vps: CurrentVps
) -> User | None:
    """Whose token this is, or None without one."""
    claims = claims_of(request, credentials, vps)
    if claims is None:
        return None
    # A connection of its own: a route that calls a payment provider must not hold one meanwhile.
    user = await sessions.ask(lambda session: signed_in_user(session, claims))
    if user is None:
        raise NotAuthenticated
    request.state.session_id = claims.session_id
    return user


KnownUser = Annotated[User | None, Depends(known_user)]


def admitted(user: User, vps: Vps) -> User:
    """No admin who lacks the second factor that admins need. Raises TotpEnrolmentRequired."""
    if user.lacks_totp(admins_need_totp=vps.settings.admins_need_totp):
        raise TotpEnrolmentRequired
    return user


async def maybe_user(user: KnownUser, vps: CurrentVps) -> User | None:
    """The signed-in user, or None without a token."""
    return user and admitted(user, vps)


MaybeUser = Annotated[User | None, Depends(maybe_user)]


async def current_user(user: MaybeUser) -> User:
    if user is None:
        raise NotAuthenticated
    return user


CurrentUser = Annotated[User, Depends(current_user)]


async def current_session(request: Request, _: CurrentUser) -> UUID | None:
    session_id: UUID | None = request.state.session_id
    return session_id


CurrentSession = Annotated[UUID | None, Depends(current_session)]
"""The session that the access token is of; None for one that a release before this signed."""


async def enrolling_user(user: KnownUser) -> User:
    """Signed in, perhaps only to enrol a second factor."""
    if user is None:
        raise NotAuthenticated
    return user


EnrollingUser = Annotated[User, Depends(enrolling_user)]


async def enrolling_session(request: Request, _: EnrollingUser) -> UUID | None:
    session_id: UUID | None = request.state.session_id
    return session_id


EnrollingSession = Annotated[UUID | None, Depends(enrolling_session)]


class HasRole:
    """A dependency that lets only these roles through."""

    def __init__(self, *roles: Role) -> None:
        self.roles = roles

    async def __call__(self, user: CurrentUser) -> User:
        if not user.has_role(*self.roles):
            raise WrongRole
        return user


CurrentTeacher = Annotated[User, Depends(HasRole("teacher"))]
CurrentAdmin = Annotated[User, Depends(HasRole("admin"))]
CurrentLearner = Annotated[User, Depends(HasRole("student", "teacher"))]
"""Students, and teachers who learn from others; an admin neither buys nor enrols."""


MOST_OF_A_NAME = 200


async def current_device(request: Request) -> Device:
    """As it says itself (User-Agent), and where its request comes from."""
    said = request.headers.get("user-agent", "")
    name = "".join(letter for letter in said[:MOST_OF_A_NAME] if letter.isprintable())
    return Device(name, request.client.host if request.client else "")


CurrentDevice = Annotated[Device, Depends(current_device)]
