from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Base


class Teacher(Base):
    """A teacher's standing. `followers` is the last count, `verified_at` when it was enough or an admin said so.

    One whom an admin demoted, at `demoted_at`, only an admin verifies again.
    """

    __tablename__ = "teachers"
    __table_args__ = (
        CheckConstraint("verified_at IS NULL OR demoted_at IS NULL", name="verified_or_demoted"),
        Index("ix_teachers_followers", "followers", "user_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    followers: Mapped[int] = mapped_column(default=0, server_default="0")
    verified_at: Mapped[datetime | None]
    demoted_at: Mapped[datetime | None]

    @property
    def is_verified(self) -> bool:
        return self.verified_at is not None

    @property
    def is_demoted(self) -> bool:
        return self.demoted_at is not None


class Follow(Base):
    """`counts` is whether the follower is somebody whose follow counts; whoever changes them changes it too."""

    __tablename__ = "follows"
    __table_args__ = (
        CheckConstraint("follower_id <> teacher_id", name="not_oneself"),
        Index("ix_follows_counted", "teacher_id", postgresql_where="counts"),
        Index("ix_follows_of_follower", "follower_id", "created_at", "teacher_id"),
    )

    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("teachers.user_id"), primary_key=True)
    follower_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    counts: Mapped[bool]
