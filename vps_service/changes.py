"""The changes feed: every change of a right, numbered in commit order, for the nodes to pull.

A number is taken from one locked row inside the transaction that makes the change, so numbers have no gaps
and become visible in order; a sequence would promise neither.
"""

from uuid import UUID, uuid4

from sqlalchemy import BigInteger, CheckConstraint, SmallInteger, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract import Change, Changes
from vps_service.db import Base

BATCH = 500


class ChangeRow(Base):
    __tablename__ = "changes"

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


async def record(
    session: AsyncSession,
    kind: str,
    *,
    user_id: UUID | None = None,
    course_id: UUID | None = None,
    video_id: UUID | None = None,
) -> None:
    """Number one change in this transaction. Call it last: the counter stays locked until the commit."""
    taken = update(ChangeCounter).values(last=ChangeCounter.last + 1).returning(ChangeCounter.last)
    number = (await session.execute(taken)).scalar_one()
    session.add(ChangeRow(number=number, kind=kind, user_id=user_id, course_id=course_id, video_id=video_id))
    await session.flush()


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
