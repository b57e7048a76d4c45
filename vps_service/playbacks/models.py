from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, Index, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.playbacks import PlaybackEnd
from vps_service.db import Row


class Playback(Row):
    """One viewer watching one video through signed links, as its node told it; `created_at` is when it first did.

    It is a view once `viewed_at` is known. `watched` are stretches of the video in seconds. `moved_at` is when it had
    to make room for a later one on another node, `ended_at` when it ended as its node tells it. Whom and what it is
    about may be unknown here: a database that was set back has lost them, and a node may tell of this first.
    """

    __tablename__ = "playbacks"
    __table_args__ = (
        CheckConstraint("\"end\" IN ('expired', 'moved', 'video_gone', 'signed_out', 'lost')", name="end"),
        CheckConstraint('(ended_at IS NULL) = ("end" IS NULL)', name="ended"),
        Index("ix_playbacks_views", "video_id", postgresql_where="viewed_at IS NOT NULL"),
        Index("ix_playbacks_unseen", "ends_at", postgresql_where="viewed_at IS NULL"),
        Index("ix_playbacks_live", "user_id", postgresql_where="ended_at IS NULL AND moved_at IS NULL"),
        Index("ix_playbacks_of_node", "node_id", postgresql_where="ended_at IS NULL"),
    )

    video_id: Mapped[UUID]
    user_id: Mapped[UUID] = mapped_column(index=True)
    node_id: Mapped[str]
    began_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    viewed_at: Mapped[datetime | None]
    used_at: Mapped[datetime | None]
    watched: Mapped[list[Any]] = mapped_column(JSONB)
    moved_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    end: Mapped[PlaybackEnd | None] = mapped_column(String)
