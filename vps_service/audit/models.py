from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from vps_service.db import Row

Act = Literal[
    "registered",
    "signed_in",
    "sign_in_failed",
    "refresh_token_reused",
    "signed_out_everywhere",
    "password_changed",
    "password_reset",
    "email_changed",
    "phone_changed",
    "totp_enabled",
    "totp_removed",
    "recovery_code_used",
    "recovery_codes_replaced",
    "account_deletion_asked",
    "account_deletion_taken_back",
    "account_deleted",
    "data_exported",
    "admin_created",
    "contact_confirmed",
    "user_banned",
    "user_activated",
    "user_role_changed",
    "teacher_verified",
    "teacher_demoted",
    "course_approved",
    "course_rejected",
    "course_unpublished",
    "refund_ordered",
    "key_voided",
    "node_admitted",
    "node_shut_out",
    "audit_trimmed",
]


class AuditEvent(Row):
    """Somebody did something of weight; the database takes new rows only, keeps each for 30 days whatever is set, and
    lets go of older ones by its function `trim_audit_events`, which tells of that here.

    `actor_id` is None for who is not signed in and, without an `address`, for an operator at the server. `subject` is
    the id of whom or what it was done to. People are ids here; their `address` goes when they leave, the one change
    that the database lets through.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_actor", "actor_id", "id"),
        Index("ix_audit_events_subject", "subject", "id"),
        Index("ix_audit_events_what", "what", "id"),
    )

    what: Mapped[str]
    actor_id: Mapped[UUID | None]
    subject: Mapped[str | None]
    details: Mapped[dict[str, Any]] = mapped_column(JSONB, default=dict, server_default="{}")
    address: Mapped[str | None]
    request_id: Mapped[str | None]
