"""`toptank seed-followers`: real follower rows in bulk, to try the verified-teacher rule without 15,000 people."""

import argparse
import asyncio
import secrets
import sys
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from shared.settings import load, stop
from vps_service.accounts.models import User
from vps_service.accounts.queries import teacher_by_username
from vps_service.db import Sessions
from vps_service.followers.actions import recount
from vps_service.followers.models import Follow
from vps_service.migrate import DatabaseNotReady, with_database
from vps_service.settings import VpsSettings

UNUSABLE_PASSWORD = "!"  # noqa: S105 - no bcrypt hash looks like this, so nobody signs in with it


async def seed(session: AsyncSession, teacher_id: UUID, count: int, required: int) -> int:
    """Add `count` accounts, each with a confirmed address, that follow the teacher; the teacher's new count."""
    batch, now = secrets.token_hex(4), datetime.now(UTC)
    ids = [uuid7() for _ in range(count)]
    people = [
        {
            "id": user_id,
            "role": "student",
            "name": f"Follower {number}",
            "username": f"follower.{batch}.{number}",
            "email": f"follower.{batch}.{number}@followers.invalid",
            "email_verified_at": now,
            "password_hash": UNUSABLE_PASSWORD,
        }
        for number, user_id in enumerate(ids)
    ]
    follows = [{"teacher_id": teacher_id, "follower_id": user_id, "counts": True} for user_id in ids]
    for start in range(0, count, 1000):
        await session.execute(insert(User), people[start : start + 1000])
        await session.execute(insert(Follow), follows[start : start + 1000])
    return (await recount(session, teacher_id, required)).followers


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank seed-followers", description=__doc__)
    parser.add_argument("teacher", help="the teacher's username")
    parser.add_argument("count", type=int, help="how many followers to add")
    arguments = parser.parse_args()
    if arguments.count < 1:
        parser.error("count must be at least 1")
    settings = load(VpsSettings)
    if settings.environment == "production":
        stop("seed-followers does not run in production")

    async def work(sessions: Sessions) -> int:
        async with sessions() as session, session.begin():
            teacher = await teacher_by_username(session, arguments.teacher)
            if teacher is None:
                stop(f"there is no teacher {arguments.teacher}")
            return await seed(session, teacher.id, arguments.count, settings.followers_required)

    try:
        followers = asyncio.run(with_database(settings, work))
    except DatabaseNotReady as error:
        stop(str(error))
    sys.stdout.write(f"{arguments.teacher} has {followers} followers\n")


if __name__ == "__main__":
    main()
