"""Who asks who they are: let in as by `CurrentUser`, and looked up together with what they are shown of themselves."""

from typing import Annotated, NamedTuple

from fastapi import Depends, Request

from shared.problems import NotAuthenticated
from vps_service.accounts.current import Credentials, admitted, claims_of
from vps_service.accounts.models import User
from vps_service.accounts.queries import signed_in_user
from vps_service.accounts.standing import Standing, signed_in_teacher
from vps_service.db import Transactions
from vps_service.vps import CurrentVps


class Own(NamedTuple):
    """`standing` is there when the token was made for a teacher."""

    user: User
    standing: Standing | None


async def own_account(request: Request, credentials: Credentials, sessions: Transactions, vps: CurrentVps) -> Own:
    claims, standing = claims_of(request, credentials, vps), None
    if claims is None:
        raise NotAuthenticated
    if claims.role == "teacher":
        currency = vps.settings.currency
        user, standing = await sessions.ask(lambda session: signed_in_teacher(session, claims, currency))
    else:
        user = await sessions.ask(lambda session: signed_in_user(session, claims))
    if user is None:
        raise NotAuthenticated
    return Own(admitted(user, vps), standing)


OwnAccount = Annotated[Own, Depends(own_account)]
