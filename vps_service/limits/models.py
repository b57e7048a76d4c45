from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Base


class RateLimit(Base):
    """What somebody may still do of something: all of it at `full_at`. Whose and what is in the hash that is its id.

    Unlogged: it is written at every sign-in, and after a crash everybody simply begins anew, and nobody is
    known by the client of an earlier sign-in.
    """

    __tablename__ = "rate_limits"
    __table_args__ = {"prefixes": ["UNLOGGED"]}

    id: Mapped[bytes] = mapped_column(primary_key=True)
    full_at: Mapped[datetime]
