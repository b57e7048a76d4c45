"""What only an operator at the server may do to accounts: `toptank create-admin`, `toptank confirm-contact`."""

import argparse
import asyncio
import getpass
import sys
from collections.abc import Awaitable, Callable

from pydantic import TypeAdapter, ValidationError

from shared.problems import AppError
from shared.settings import load, stop
from vps_service.accounts.actions import confirm_contact, register
from vps_service.accounts.passwords import Hasher
from vps_service.accounts.schemas import Email, Username
from vps_service.db import Sessions, make_engine, make_sessions
from vps_service.migrate import DatabaseNotReady, check_ready
from vps_service.settings import VpsSettings


def _password() -> str:
    """From the terminal without echo, or the first line of standard input: never from the command line."""
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")


def _create_admin(settings: VpsSettings, arguments: argparse.Namespace) -> Callable[[Sessions], Awaitable[str]]:
    password = _password()

    async def work(sessions: Sessions) -> str:
        await register(
            sessions,
            Hasher(settings.bcrypt_cost),
            role="admin",
            name=arguments.username,
            username=TypeAdapter(Username).validate_python(arguments.username),
            email=TypeAdapter(Email).validate_python(arguments.email),
            password=password,
        )
        return f"{arguments.username} is an admin"

    return work


def _confirm_contact(settings: VpsSettings, arguments: argparse.Namespace) -> Callable[[Sessions], Awaitable[str]]:
    async def work(sessions: Sessions) -> str:
        async with sessions() as session, session.begin():
            await confirm_contact(session, arguments.username, settings.followers_required)
        return f"{arguments.username}'s e-mail and phone are confirmed"

    return work


async def _run(settings: VpsSettings, work: Callable[[Sessions], Awaitable[str]]) -> str:
    await check_ready(settings)
    engine = make_engine(settings)
    try:
        return await work(make_sessions(engine))
    finally:
        await engine.dispose()


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank", description=__doc__)
    commands = parser.add_subparsers(required=True)
    create = commands.add_parser("create-admin", help="make an admin; the password is asked for")
    create.add_argument("username")
    create.add_argument("email")
    create.set_defaults(prepare=_create_admin)
    confirm = commands.add_parser("confirm-contact", help="vouch for an account's e-mail and phone")
    confirm.add_argument("username")
    confirm.set_defaults(prepare=_confirm_contact)
    arguments = parser.parse_args()
    settings = load(VpsSettings)
    try:
        said = asyncio.run(_run(settings, arguments.prepare(settings, arguments)))
    except ValidationError as error:
        stop("; ".join(problem["msg"] for problem in error.errors()))
    except (AppError, DatabaseNotReady) as error:
        stop(str(error))
    sys.stdout.write(said + "\n")


if __name__ == "__main__":
    main()
