"""The changes feed: every change of a right, numbered in commit order, for the nodes to pull.

A number is taken from one locked row inside the transaction that makes the change, so numbers have no gaps
and become visible in order; a sequence would promise neither.
"""

from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, event, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.contract import Change, Changes
from vps_service.db import Base

BATCH = 500
PENDING = "changes"


class ChangeRow(Base):
    __tablename__ = "changes"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('key_granted', 'key_refunded', 'key_disputed', 'key_voided',"
            " 'user_banned', 'user_activated', 'user_signed_out', 'user_role_changed',"
            " 'teacher_verified', 'teacher_demoted',"
            " 'course_published', 'course_unpublished', 'course_deleted',"
            " 'video_deleted', 'lesson_preview_changed')",
            name="kind",
        ),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    kind: Mapped[str]
    user_id: Mapped[UUID | None]
    course_id: Mapped[UUID | None]
    video_id: Mapped[UUID | None]


class ChangeCounter(Base):
    """One row: the last number given, and the epoch, which a restored database must renew."""

    __tablename__ = "change_counter"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    last: Mapped[int] = mapped_column(BigInteger, default=0)
    epoch: Mapped[UUID] = mapped_column(default=uuid4)


Kind = Literal[
    "key_granted",
    "key_refunded",
    "key_disputed",
    "key_voided",
    "user_banned",
    "user_activated",
    "user_signed_out",
    "user_role_changed",
    "teacher_verified",
    "teacher_demoted",
    "course_published",
    "course_unpublished",
    "course_deleted",
    "video_deleted",
    "lesson_preview_changed",
]


def record(
    session: AsyncSession,
    kind: Kind,
    *,
    user_id: UUID | None = None,
    course_id: UUID | None = None,
    video_id: UUID | None = None,
) -> None:
    """Announce a change with this transaction. It is numbered at the commit, so that the counter is locked last."""
    change = ChangeRow(kind=kind, user_id=user_id, course_id=course_id, video_id=video_id)
    session.info.setdefault(PENDING, []).append(change)


async def number_now(session: AsyncSession) -> int:
    """Number what was recorded so far, and the last number given: for an answer that names it before the commit."""
    await session.run_sync(_number_pending)
    return await head(session)


@event.listens_for(Session, "before_commit")
def _number_pending(session: Session) -> None:
    pending: list[ChangeRow] = session.info.pop(PENDING, [])
    if not pending:
        return
    session.flush()
    taken = update(ChangeCounter).values(last=ChangeCounter.last + len(pending)).returning(ChangeCounter.last)
    last = session.execute(taken).scalar_one()
    for number, change in enumerate(pending, start=last - len(pending) + 1):
        change.number = number
    session.add_all(pending)
    session.flush()


@event.listens_for(Session, "after_rollback")
def _forget_pending(session: Session) -> None:
    session.info.pop(PENDING, None)


async def head(session: AsyncSession) -> int:
    """The newest committed number. Read it before the facts that an answer to a node is made of."""
    return (await session.execute(select(ChangeCounter.last))).scalar_one()


async def since(session: AsyncSession, after: int | None, epoch: UUID | None) -> Changes:
    """What a node at position `after` of `epoch` has not seen; a node without a position starts at the head."""
    counter = (await session.execute(select(ChangeCounter))).scalar_one()
    if after is None or epoch != counter.epoch or after > counter.last:
        return Changes(epoch=counter.epoch, head=counter.last, reset=True)
    rows = await session.scalars(
        select(ChangeRow).where(ChangeRow.number > after).order_by(ChangeRow.number).limit(BATCH)
    )
    items = [Change.model_validate(row, from_attributes=True) for row in rows]
    return Changes(epoch=counter.epoch, head=counter.last, items=items)
