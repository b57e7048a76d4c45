from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ForeignKey, String, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.contract import Verdict
from vps_service.db import Base


class Node(Base):
    """A Cloud node that the operator admitted, and what it last said of itself; sizes in bytes, ages in seconds.

    `reconcile_order` is the newest wish that it compare everything with the VPS, `reconciled_order` the newest that it
    fulfilled, with what it found then.
    """

    __tablename__ = "nodes"

    id: Mapped[str] = mapped_column(primary_key=True)
    admitted_at: Mapped[datetime] = mapped_column(server_default=func.now())
    seen_at: Mapped[datetime | None]
    url: Mapped[str | None]
    report: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    reconcile_order: Mapped[int] = mapped_column(default=0, server_default="0")
    reconciled_order: Mapped[int] = mapped_column(default=0, server_default="0")
    reconciled_at: Mapped[datetime | None]
    reconciliation: Mapped[dict[str, Any] | None] = mapped_column(JSONB)


class NodeKey(Base):
    """A public key by which calls of a node are known; two while it is being replaced."""

    __tablename__ = "node_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    node_id: Mapped[str] = mapped_column(ForeignKey("nodes.id", ondelete="CASCADE"), index=True)
    pem: Mapped[str]


class SpentToken(Base):
    """A service token that was accepted once, kept until nobody could accept it any more."""

    __tablename__ = "spent_tokens"

    id: Mapped[str] = mapped_column(primary_key=True)
    expires_at: Mapped[int] = mapped_column(BigInteger, index=True)


class ReceivedEvent(Base):
    """The inbox: an event of a node is applied once, and asked again it gets the answer it got then."""

    __tablename__ = "received_events"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    node_id: Mapped[str]
    verdict: Mapped[Verdict] = mapped_column(String, default="applied")
    received_at: Mapped[datetime] = mapped_column(server_default=func.now())
