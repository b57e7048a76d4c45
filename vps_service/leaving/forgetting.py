"""What is left of an account that was deleted: ids that keys, payments and courses hang on, and nothing of a person."""

from typing import Any
from uuid import UUID

from sqlalchemy import Column, String, Table, cast, delete, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from vps_service.accounts.models import Proof, User
from vps_service.audit.models import AuditEvent
from vps_service.community.models import VideoShare
from vps_service.courses.models import Video
from vps_service.followers.models import Teacher
from vps_service.mail.models import Mail
from vps_service.models import Base
from vps_service.payments.models import Payment

KEPT = ("id", "created_at", "role", "state", "generation")
"""Of a user's row. Every other column is blank afterwards, one that is added tomorrow too."""

NO_PASSWORD = "!"  # noqa: S105 - no bcrypt hash looks like this, so nobody signs in with it


async def forget(session: AsyncSession, user: User) -> None:
    """The last step, all or nothing: the row that says that there is something left to do goes with the rest."""
    user_id = user.id
    if user.email_verified_at:  # or others may claim it, and be waiting for mail there
        await session.execute(delete(Mail).where(Mail.address == user.email))
    their_links = select(cast(Proof.id, String)).where(Proof.user_id == user_id)
    await session.execute(delete(Mail).where(Mail.values["proof"].astext.in_(their_links)))
    their_videos = select(Video.id).where(Video.owner_id == user_id)
    await session.execute(delete(VideoShare).where(VideoShare.video_id.in_(their_videos)))
    for owner in owners():
        await session.execute(delete(_table(owner)).where(owner == user_id))
    theirs = or_(AuditEvent.actor_id == user_id, AuditEvent.subject == str(user_id))
    await session.execute(update(AuditEvent).where(theirs, AuditEvent.address.is_not(None)).values(address=None))
    said = {"title": "", "description": "", "piece_name": "", "composer": "", "practice_goals": ""}
    await session.execute(update(Video).where(Video.owner_id == user_id, Video.kind == "practice").values(**said))
    await session.execute(update(Payment).where(Payment.user_id == user_id).values(idempotency_key=None))
    standing = {"followers": 0, "verified_at": None, "demoted_at": None}
    await session.execute(update(Teacher).where(Teacher.user_id == user_id).values(**standing))
    await session.execute(update(User).where(User.id == user_id).values(**blank(user_id)))


def owners() -> list[Column[Any]]:
    """Of each table that holds nothing but what is the user's own: the column that says whose.

    They are told by what would become of their rows if the user's row could go: it would take them along.
    """
    return [
        key.parent
        for table in reversed(Base.metadata.sorted_tables)
        for key in sorted(table.foreign_keys, key=lambda key: key.parent.name)
        if key.column is User.__table__.c.id and (key.ondelete or "").upper() == "CASCADE"
    ]


def _table(column: Column[Any]) -> Table:
    return column.table


def blank(user_id: UUID) -> dict[str, Any]:
    """What the row of a deleted user says. No username that somebody may choose looks like this one."""
    named = {"username": f"deleted:{user_id.hex}", "password_hash": NO_PASSWORD}
    others = [column for column in Base.metadata.tables["users"].columns if column.name not in (*KEPT, *named)]
    return named | {column.name: _nothing(column) for column in others}


def _nothing(column: Column[Any]) -> Any:
    if column.nullable:
        return None
    return text("DEFAULT") if column.server_default is not None else ""
