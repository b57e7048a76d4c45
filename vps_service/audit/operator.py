"""What only an operator at the server may do to the log of sign-ins and privileged acts: audit-trim."""

import argparse
import asyncio
import sys
from datetime import UTC, datetime, timedelta

from shared.settings import load, stop
from vps_service.audit import actions
from vps_service.db import Sessions
from vps_service.migrate import DatabaseNotReady, with_database
from vps_service.settings import DatabaseSettings


def _days(typed: str) -> int:
    days = int(typed)
    if not actions.LEAST_DAYS <= days <= 36_500:
        raise argparse.ArgumentTypeError(f"at least {actions.LEAST_DAYS} days stay, and at most 36500")
    return days


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank audit-trim", description=__doc__)
    parser.add_argument("--older-than-days", type=_days, required=True, metavar="N", help="what is younger stays")
    given = parser.parse_args()
    before = datetime.now(UTC) - timedelta(days=given.older_than_days)

    async def trim(sessions: Sessions) -> int:
        return await actions.trim(sessions, before)

    try:
        gone = asyncio.run(with_database(load(DatabaseSettings), trim))
    except DatabaseNotReady as error:
        stop(str(error))
    sys.stdout.write(f"{gone} events of before {before:%Y-%m-%d %H:%M} UTC are gone\n")


if __name__ == "__main__":
    main()
