from datetime import datetime
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Base


class ReceivedEvent(Base):
    """The inbox: an event of a node is applied once, and asked again it gets the answer it got then."""

    __tablename__ = "received_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    node_id: Mapped[str]
    refused: Mapped[str | None]
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
