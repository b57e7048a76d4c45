"""how often somebody may try, and a log of sign-ins and privileged acts that only grows"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

REFUSE = """
CREATE FUNCTION refuse_to_change_audit_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'audit_events are only added to' USING ERRCODE = 'insufficient_privilege';
END
$$
"""
GUARDS = {
    "stay": "DELETE OR TRUNCATE ON audit_events FOR EACH STATEMENT",
    "stay_as_they_are": "UPDATE OF id, created_at, what, actor_id, subject, details, request_id ON audit_events"
    " FOR EACH STATEMENT",
    # Of somebody who left it is taken away.
    "keep_no_other_address": "UPDATE OF address ON audit_events FOR EACH ROW WHEN (NEW.address IS NOT NULL)",
}


def upgrade() -> None:
    op.create_table(
        "rate_limits",
        sa.Column("id", sa.LargeBinary(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rate_limits")),
        prefixes=["UNLOGGED"],
    )
    op.create_table(
        "audit_events",
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("subject", sa.String(), nullable=True),
        sa.Column("details", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_events")),
    )
    op.create_index("ix_audit_events_actor", "audit_events", ["actor_id", "id"])
    op.create_index("ix_audit_events_subject", "audit_events", ["subject", "id"])
    op.create_index("ix_audit_events_what", "audit_events", ["what", "id"])
    op.execute(REFUSE)
    for name, when in GUARDS.items():
        op.execute(f"CREATE TRIGGER audit_events_{name} BEFORE {when} EXECUTE FUNCTION refuse_to_change_audit_events()")


def downgrade() -> None:
    op.drop_table("audit_events")
    op.execute("DROP FUNCTION refuse_to_change_audit_events")
    op.drop_table("rate_limits")
