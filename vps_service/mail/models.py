from datetime import datetime
from typing import Any

from sqlalchemy import Index, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Row


class Mail(Row):
    """A mail that is still to be sent; it is gone once it was, or once nobody could use it any more.

    `due_at` is when to try next: whoever tries moves it on first, so that no other process tries meanwhile.
    """

    __tablename__ = "mails"
    __table_args__ = (Index("ix_mails_due", "due_at"),)

    address: Mapped[str]
    template: Mapped[str]
    language: Mapped[str]
    values: Mapped[dict[str, Any]] = mapped_column(JSONB)
    tries: Mapped[int] = mapped_column(default=0, server_default="0")
    due_at: Mapped[datetime] = mapped_column(server_default=func.now())
    useful_until: Mapped[datetime]
