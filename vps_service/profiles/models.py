from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Base


class Profile(Base):
    """What users say of themselves beside their account; who has said nothing yet has none."""

    __tablename__ = "profiles"
    __table_args__ = (
        CheckConstraint(
            "experience_level IN ('beginner', 'intermediate', 'advanced', 'professional')", name="experience_level"
        ),
    )

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    bio: Mapped[str] = mapped_column(default="", server_default="")
    instruments: Mapped[list[str]] = mapped_column(ARRAY(String), default=list, server_default="{}")
    experience_level: Mapped[str | None]
    email_notifications: Mapped[bool] = mapped_column(default=True, server_default="true")
    push_notifications: Mapped[bool] = mapped_column(default=True, server_default="true")

    @classmethod
    def of_nothing(cls, user_id: UUID) -> "Profile":
        """As it is before anything was said; not stored."""
        return cls(
            user_id=user_id,
            bio="",
            instruments=[],
            experience_level=None,
            email_notifications=True,
            push_notifications=True,
        )
