from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column, relationship

from vps_service.courses.models import Course
from vps_service.db import Row


class Key(Row):
    """One student's right to one course. It has no secret: holding it means being its user. Void, it is a receipt."""

    __tablename__ = "keys"
    __table_args__ = (
        CheckConstraint("status IN ('active', 'void')", name="status"),
        Index("uq_keys_user_id", "user_id", "course_id", unique=True, postgresql_where="status = 'active'"),
        Index("ix_keys_course_id", "course_id"),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), index=True)
    course_id: Mapped[UUID] = mapped_column(ForeignKey("courses.id"))
    payment_id: Mapped[UUID | None] = mapped_column(ForeignKey("payments.id"), unique=True)
    status: Mapped[str] = mapped_column(default="active")

    course: Mapped[Course] = relationship(Course, viewonly=True, lazy="raise")

    @property
    def is_active(self) -> bool:
        return self.status == "active"
