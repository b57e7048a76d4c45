from uuid import UUID

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from vps_service.accounts.models import User
from vps_service.db import Row


class VideoShare(Row):
    """A practice video's owner lets this user watch it."""

    __tablename__ = "video_shares"
    __table_args__ = (UniqueConstraint("video_id", "user_id"),)

    video_id: Mapped[UUID] = mapped_column(ForeignKey("videos.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)

    user: Mapped[User] = relationship(User, viewonly=True, lazy="raise")
