from datetime import datetime
from uuid import UUID

from sqlalchemy import ForeignKey, SmallInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Base


class PhoneCode(Base):
    """The code that was sent to a phone last: the user's own, or one that is to become theirs. One a user.

    `attempts` counts how often a code was entered; `code_hash` is made with `CodesKey`, as six digits are soon tried.
    """

    __tablename__ = "phone_codes"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    phone: Mapped[str]
    code_hash: Mapped[bytes]
    attempts: Mapped[int] = mapped_column(SmallInteger, default=0, server_default="0")
    expires_at: Mapped[datetime] = mapped_column(index=True)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
