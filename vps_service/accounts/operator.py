"""What only an operator at the server may do to accounts: create-admin, confirm-contact, reset-password,
remove-totp.
"""

import argparse
import asyncio
import getpass
import sys

from pydantic import BaseModel, ValidationError

from shared.problems import AppError, Invalid
from shared.settings import load, stop
from vps_service.accounts import actions
from vps_service.accounts.actions import new_user, store_user
from vps_service.accounts.errors import AlreadyTaken, UserNotFound
from vps_service.accounts.new_passwords import replace_password
from vps_service.accounts.notices import tell_owner
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.proofs import mail_link
from vps_service.accounts.queries import locked_user, owner_of_email, user_by_username
from vps_service.accounts.schemas import Email, Username
from vps_service.accounts.totp import forget
from vps_service.audit import actions as audit
from vps_service.db import Sessions
from vps_service.migrate import DatabaseNotReady, with_database
from vps_service.settings import VpsSettings


class NewAdmin(BaseModel):
    username: Username
    email: Email


def _password() -> str:
    """From the terminal without echo, or the first line of standard input: never from the command line."""
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


async def create_admin(sessions: Sessions, settings: VpsSettings, username: str, email: str) -> str:
    given = NewAdmin(username=username, email=email)
    admin = await new_user(
        Hasher(settings.bcrypt_cost), role="admin", name=username, **given.model_dump(), password=_password()
    )
    async with sessions() as session, session.begin():
        if await owner_of_email(session, given.email):
            raise AlreadyTaken("This email is in use.")
        await store_user(session, admin)
        await mail_link(session, settings, admin, "verify_email", given.email)
        await audit.record(session, "admin_created", subject=admin.id)
    return f"{username} is an admin"


async def confirm_contact(sessions: Sessions, settings: VpsSettings, username: str) -> str:
    await actions.confirm_contact(sessions, username, settings.followers_required)
    return f"{username}'s e-mail and phone are confirmed"


async def reset_password(sessions: Sessions, settings: VpsSettings, username: str) -> str:
    await replace_password(sessions, settings, Hasher(settings.bcrypt_cost), username, _password())
    return f"{username} signs in with the new password, and is signed in nowhere"


async def remove_totp(sessions: Sessions, username: str) -> str:
    """Raises UserNotFound, also for who may not sign in."""
    async with sessions() as session, session.begin():
        found = await user_by_username(session, username, banned_too=True)
        user = await locked_user(session, found.id)
        if not user.may_sign_in:
            raise UserNotFound
        if user.totp_since:
            await tell_owner(session, user, "totp_removed")
        await forget(session, user)
        await audit.record(session, "totp_removed", subject=user.id)
    return f"{username} signs in with the password alone"


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    create = commands.add_parser("create-admin", help="make an admin; the password is asked for")
    create.add_argument("username")
    create.add_argument("email")
    confirm = commands.add_parser("confirm-contact", help="vouch for an account's e-mail and phone")
    confirm.add_argument("username")
    reset = commands.add_parser("reset-password", help="give another password to who forgot theirs; it is asked for")
    reset.add_argument("username")
    remove = commands.add_parser("remove-totp", help="take away the second factor of who has lost it")
    remove.add_argument("username")
    given = parser.parse_args()
    settings = load(VpsSettings)

    async def work(sessions: Sessions) -> str:
        if given.command == "create-admin":
            return await create_admin(sessions, settings, given.username, given.email)
        if given.command == "reset-password":
            return await reset_password(sessions, settings, given.username)
        if given.command == "remove-totp":
            return await remove_totp(sessions, given.username)
        return await confirm_contact(sessions, settings, given.username)

    try:
        said = asyncio.run(with_database(settings, work))
    except ValidationError as error:
        stop("; ".join(f"{problem['loc'][0]}: {problem['msg']}" for problem in error.errors()))
    except Invalid as error:
        stop(f"the password {error}" if error.field == "body.password" else str(error))
    except (AppError, DatabaseNotReady) as error:
        stop(str(error))
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main()
