from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Computed, Float, ForeignKey, Index, String
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.contract import VideoKind, VideoStatus
from shared.schemas import Money
from vps_service.accounts.models import User
from vps_service.db import Row

SEARCHED = "to_tsvector('simple', title || ' ' || description)"


class Course(Row):
    __tablename__ = "courses"
    __table_args__ = (
        CheckConstraint("status IN ('draft', 'pending', 'published', 'rejected', 'archived')", name="status"),
        CheckConstraint("price_amount >= 0", name="price"),
        # Without a list of what is still to be put in: to read that would cost every search.
        Index("ix_courses_search", "search", postgresql_using="gin", postgresql_with={"fastupdate": "off"}),
        Index("ix_courses_public", "id", postgresql_where="status = 'published' AND deleted_at IS NULL"),
        Index("ix_courses_pending", "id", postgresql_where="status = 'pending' AND deleted_at IS NULL"),
        Index("ix_courses_teacher", "teacher_id", "id"),
    )

    teacher_id: Mapped[UUID] = mapped_column(ForeignKey("teachers.user_id"))
    title: Mapped[str]
    description: Mapped[str]
    price_amount: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str]
    status: Mapped[str] = mapped_column(default="draft")
    rejection_reason: Mapped[str | None]
    downloads_allowed: Mapped[bool] = mapped_column(default=False)
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
    """What the VPS knows of a video or file that a node holds.

    A lesson has at most one current video, which plays, and at most one living other that `replaces_id` it once it is
    ready; files as many as its teacher likes. One that came late, another node having filled the lesson, replaces
    nothing but itself: it waits, in error, for its teacher to delete it. A practice video has neither lesson nor
    course. `status`, `reason` and `renditions` are as its node last told; `missing_since` is when its node, asked,
    turned out not to have it. What its owner says of a practice video is not told by its node but here.
    """

    __tablename__ = "videos"
    __table_args__ = (
        CheckConstraint("kind IN ('course', 'practice', 'file')", name="kind"),
        CheckConstraint("status IN ('processing', 'ready', 'error')", name="status"),
        CheckConstraint(
            "(kind = 'practice') = (lesson_id IS NULL) AND (kind = 'practice') = (course_id IS NULL)", name="place"
        ),
        CheckConstraint("kind = 'course' OR replaces_id IS NULL", name="replaces"),
        CheckConstraint("kind = 'practice' OR NOT is_public", name="public"),
        Index(
            "uq_videos_lesson_id",
            "lesson_id",
            unique=True,
            postgresql_where="kind = 'course' AND replaces_id IS NULL AND deleted_at IS NULL",
        ),
        Index("uq_videos_replaces_id", "replaces_id", unique=True, postgresql_where="deleted_at IS NULL"),
        Index("ix_videos_practice", "owner_id", "id", postgresql_where="kind = 'practice' AND deleted_at IS NULL"),
    )

    kind: Mapped[VideoKind] = mapped_column(String)
    title: Mapped[str]
    lesson_id: Mapped[UUID | None] = mapped_column(ForeignKey("lessons.id"))
    course_id: Mapped[UUID | None] = mapped_column(ForeignKey("courses.id"), index=True)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    node_id: Mapped[str]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str]
    media_type: Mapped[str]
    duration_s: Mapped[float] = mapped_column(Float)
    status: Mapped[VideoStatus] = mapped_column(String)
    reason: Mapped[str]
    renditions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    replaces_id: Mapped[UUID | None] = mapped_column(ForeignKey("videos.id"))
    missing_since: Mapped[datetime | None]
    deleted_at: Mapped[datetime | None]
    description: Mapped[str] = mapped_column(default="")
    piece_name: Mapped[str] = mapped_column(default="")
    composer: Mapped[str] = mapped_column(default="")
    practice_goals: Mapped[str] = mapped_column(default="")
    is_public: Mapped[bool] = mapped_column(default=False)

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    @property
    def is_current(self) -> bool:
        """Whether it is the one that plays in its lesson."""
        return self.kind == "course" and self.replaces_id is None and not self.is_deleted

    @property
    def came_late(self) -> bool:
        return self.replaces_id == self.id

    @property
    def collection_id(self) -> UUID:
        """Nodes keep videos by course, and practice videos by owner."""
        return self.course_id or self.owner_id
