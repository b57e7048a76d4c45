"""The changes feed: every change of a right, numbered in commit order, for the nodes to pull.

A number is taken from one locked row inside the transaction that makes the change, so numbers have no gaps
and become visible in order; a sequence would promise neither.
"""

import logging
from datetime import UTC, datetime, timedelta
from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, delete, event, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, Session, mapped_column

from shared.contract import Change, Changes, Position
from vps_service.db import Base

log = logging.getLogger(__name__)

BATCH = 500
PENDING = "changes"
CHANNEL = "changes"
"""Where PostgreSQL notifies listeners of a commit with changes (NOTIFY)."""


class ChangeRow(Base):
    __tablename__ = "changes"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('key_granted', 'key_refunded', 'key_disputed', 'key_voided',"
            " 'user_banned', 'user_activated', 'user_signed_out', 'user_role_changed',"
            " 'teacher_verified', 'teacher_demoted',"
            " 'course_published', 'course_unpublished', 'course_deleted',"
            " 'video_deleted', 'lesson_preview_changed',"
            " 'video_shared', 'video_unshared', 'video_visibility_changed', 'practice_videos_hidden',"
            " 'course_downloads_changed', 'playback_moved', 'session_ended')",
            name="kind",
        ),
    )

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    mark: Mapped[UUID] = mapped_column(default=uuid4)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), index=True)
    kind: Mapped[str]
    user_id: Mapped[UUID | None]
    course_id: Mapped[UUID | None]
    video_id: Mapped[UUID | None]
    playback_id: Mapped[UUID | None]
    session_id: Mapped[UUID | None]


class ChangeCounter(Base):
    """One row: the last number given with its mark, and the epoch, which ends when the database was set back."""

    __tablename__ = "change_counter"
    __table_args__ = (CheckConstraint("id = 1", name="single"),)

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False, default=1)
    last: Mapped[int] = mapped_column(BigInteger, default=0)
    mark: Mapped[UUID] = mapped_column(default=uuid4)
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
    "video_shared",
    "video_unshared",
    "video_visibility_changed",
    "practice_videos_hidden",
    "course_downloads_changed",
    "playback_moved",
    "session_ended",
]


def record(
    session: AsyncSession,
    kind: Kind,
    *,
    user_id: UUID | None = None,
    course_id: UUID | None = None,
    video_id: UUID | None = None,
    playback_id: UUID | None = None,
    session_id: UUID | None = None,
) -> None:
    """Announce a change with this transaction. It is numbered at the commit, so that the counter is locked last."""
    about = {"user_id": user_id, "course_id": course_id, "video_id": video_id, "playback_id": playback_id}
    change = ChangeRow(kind=kind, session_id=session_id, **about)
    session.info.setdefault(PENDING, []).append(change)


async def number_now(session: AsyncSession) -> Position:
    """Number what was recorded so far: for an answer that names its own change before the commit."""
    await session.run_sync(_number_pending)
    return await position(session)


@event.listens_for(Session, "before_commit")
def _number_pending(session: Session) -> None:
    pending: list[ChangeRow] = session.info.pop(PENDING, [])
    if not pending:
        return
    session.flush()
    pending[-1].mark = uuid4()
    taken = (
        update(ChangeCounter)
        .values(last=ChangeCounter.last + len(pending), mark=pending[-1].mark)
        .returning(ChangeCounter.last)
    )
    last = session.execute(taken).scalar_one()
    for number, change in enumerate(pending, start=last - len(pending) + 1):
        change.number = number
    session.add_all(pending)
    session.execute(select(func.pg_notify(CHANNEL, str(last))))
    session.flush()


@event.listens_for(Session, "after_rollback")
def _forget_pending(session: Session) -> None:
    session.info.pop(PENDING, None)


async def position(session: AsyncSession) -> Position:
    """The newest committed change. Read it before the facts that an answer to a node is made of."""
    row = (await session.execute(select(ChangeCounter.epoch, ChangeCounter.last))).one()
    return Position(epoch=row.epoch, number=row.last)


async def since(session: AsyncSession, after: int | None, epoch: UUID | None, mark: UUID | None) -> Changes:
    """What a node at number `after` with its `mark` has not seen; a node without a position starts at the head."""
    counter = await session.get_one(ChangeCounter, 1, populate_existing=True)
    reset = Changes(epoch=counter.epoch, head=counter.last, mark=counter.mark, reset=True)
    if after is None or mark is None or epoch != counter.epoch:
        return reset
    if after > counter.last or (known := await _mark_of(session, counter, after, mark)) not in (mark, None):
        log.error("the database was set back", extra={"head": counter.last, "a_node_is_at": after})
        counter.epoch = reset.epoch = uuid4()
        return reset
    if known is None:
        return reset  # trimmed: what came after it is not all there
    wanted = select(ChangeRow).where(ChangeRow.number > after).order_by(ChangeRow.number).limit(BATCH)
    rows = (await session.scalars(wanted)).all()
    return Changes(
        epoch=counter.epoch,
        head=max(counter.last, rows[-1].number) if rows else counter.last,
        mark=rows[-1].mark if rows else counter.mark,
        items=[Change.model_validate(row, from_attributes=True) for row in rows],
    )


async def _mark_of(session: AsyncSession, counter: ChangeCounter, number: int, told: UUID) -> UUID | None:
    """None for a change that was trimmed. Before the first change there was none: any mark is its mark."""
    if number == counter.last:
        return counter.mark
    if number == 0:
        return told if await session.get(ChangeRow, 1) else None
    return (await session.scalars(select(ChangeRow.mark).where(ChangeRow.number == number))).one_or_none()


async def trim(session: AsyncSession, kept_for: timedelta) -> int:
    """Forget old changes: a node that was away for longer starts again from the head. How many went.

    Not the newest, at which every node is when nothing has happened for long.
    """
    newest = select(func.max(ChangeRow.number)).scalar_subquery()
    old = delete(ChangeRow).where(ChangeRow.created_at < datetime.now(UTC) - kept_for, ChangeRow.number < newest)
    return len((await session.execute(old.returning(ChangeRow.number))).all())
