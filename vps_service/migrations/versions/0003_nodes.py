"""several nodes: keys, reports, reconciliation, marks of changes"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "nodes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("admitted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("report", postgresql.JSONB(), server_default="{}", nullable=False),
        sa.Column("reconcile_order", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reconciled_order", sa.Integer(), server_default="0", nullable=False),
        sa.Column("reconciled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reconciliation", postgresql.JSONB(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_nodes")),
    )
    op.create_table(
        "node_keys",
        sa.Column("kid", sa.String(), nullable=False),
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("pem", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["node_id"], ["nodes.id"], name=op.f("fk_node_keys_node_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_node_keys")),
    )
    op.create_index(op.f("ix_node_keys_node_id"), "node_keys", ["node_id"], unique=False)
    op.create_table(
        "spent_tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_spent_tokens")),
    )
    op.create_index(op.f("ix_spent_tokens_expires_at"), "spent_tokens", ["expires_at"], unique=False)
    op.add_column("videos", sa.Column("missing_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("received_events", sa.Column("verdict", sa.String(), nullable=True))
    op.execute("UPDATE received_events SET verdict = CASE WHEN refused IS NULL THEN 'applied' ELSE 'unwanted' END")
    op.alter_column("received_events", "verdict", nullable=False)
    op.drop_column("received_events", "refused")
    op.add_column("changes", sa.Column("mark", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False))
    op.alter_column("changes", "mark", server_default=None)
    now = sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False)
    op.add_column("changes", now)
    op.create_index(op.f("ix_changes_created_at"), "changes", ["created_at"], unique=False)
    marked = sa.Column("mark", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False)
    op.add_column("change_counter", marked)
    op.alter_column("change_counter", "mark", server_default=None)
    op.execute("UPDATE change_counter SET mark = changes.mark FROM changes WHERE changes.number = change_counter.last")


def downgrade() -> None:
    op.drop_column("change_counter", "mark")
    op.drop_index(op.f("ix_changes_created_at"), table_name="changes")
    op.drop_column("changes", "created_at")
    op.drop_column("changes", "mark")
    op.add_column("received_events", sa.Column("refused", sa.String(), nullable=True))
    op.execute("UPDATE received_events SET refused = 'lesson_not_found' WHERE verdict <> 'applied'")
    op.drop_column("received_events", "verdict")
    op.drop_column("videos", "missing_since")
    op.drop_index(op.f("ix_spent_tokens_expires_at"), table_name="spent_tokens")
    op.drop_table("spent_tokens")
    op.drop_index(op.f("ix_node_keys_node_id"), table_name="node_keys")
    op.drop_table("node_keys")
    op.drop_table("nodes")
