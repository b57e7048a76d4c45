from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, func
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.types import Uuid

from vps_service.db import Base


class Leaving(Base):
    """Somebody asked that their account be deleted. Until `due_at` they take it back by signing in.

    `unpublished` are the courses that were for sale until then, and are again if they come back, but for those that an
    admin unpublishes meanwhile. The row goes last of all: as long as there is one, there is something left to do.
    """

    __tablename__ = "leavings"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    asked_at: Mapped[datetime] = mapped_column(server_default=func.now())
    due_at: Mapped[datetime] = mapped_column(index=True)
    unpublished: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
