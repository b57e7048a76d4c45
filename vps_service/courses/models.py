from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, Float, ForeignKey, Index
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.schemas import Money
from vps_service.accounts.models import User
from vps_service.db import Row

SEARCHED = "to_tsvector('simple', title || ' ' || description)"


class Course(Row):
    __tablename__ = "courses"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'pending', 'published', 'rejected', 'archived')", name="status"),
        CheckConstraint("price_amount >= 0", name="price"),
        Index("ix_courses_search", "search", postgresql_using="gin"),
        Index("ix_courses_public", "id", postgresql_where="status = 'published' AND deleted_at IS NULL"),
    )

    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("teachers.user_id"), index=True)
    title: Mapped[str]
    description: Mapped[str]
    price_amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    status: Mapped[str] = mapped_column(default="draft")
    rejection_reason: Mapped[str | None]
    deleted_at: Mapped[datetime | None]
    search: Mapped[str] = mapped_column(TSVECTOR, Computed(SEARCHED, persisted=True), deferred=True)

    teacher: Mapped[User] = relationship(
        User, primaryjoin="foreign(Course.teacher_id) == User.id", viewonly=True, lazy="raise"
    )

    @property
    def price(self) -> Money:
        return Money(amount=self.price_amount, currency=self.currency)

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    @property
    def is_public(self) -> bool:
        return self.status == "published" and not self.is_deleted

    @property
    def is_free(self) -> bool:
        return self.price_amount == 0


class Section(Row):
    __tablename__ = "sections"

    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), index=True)
    title: Mapped[str]
    position: Mapped[int]


class Lesson(Row):
    __tablename__ = "lessons"
    __table_args__ = (CheckConstraint("kind IN ('video')", name="kind"),)

    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), index=True)
    section_id: Mapped[UUID] = mapped_column(ForeignKey("sections.id"), index=True)
    kind: Mapped[str] = mapped_column(default="video")
    title: Mapped[str]
    position: Mapped[int]
    is_preview: Mapped[bool] = mapped_column(default=False)


class Video(Row):
    """What the VPS knows of a video that a node holds; a lesson has at most one that is not deleted.

    `missing_since` is when its node, asked, turned out not to have it.
    """

    __tablename__ = "videos"
    __table_args__ = (Index("uq_videos_lesson_id", "lesson_id", unique=True, postgresql_where="deleted_at IS NULL"),)

    lesson_id: Mapped[UUID] = mapped_column(ForeignKey("lessons.id"))
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"), index=True)
    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("teachers.user_id"))
    node_id: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    media_type: Mapped[str]
    duration_s: Mapped[float] = mapped_column(Float)
    missing_since: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None
