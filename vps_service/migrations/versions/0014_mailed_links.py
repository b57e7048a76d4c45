"""mailed links that prove whose an address is, and who forgot a password"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "proofs",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind IN ('verify_email', 'reset_password', 'change_email')", name=op.f("ck_proofs_kind")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_proofs_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proofs")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_proofs_token_hash")),
    )
    op.create_index("uq_proofs_newest", "proofs", ["user_id", "kind"], unique=True, postgresql_where="ended_at IS NULL")
    op.create_index(op.f("ix_proofs_user_id"), "proofs", ["user_id"])
    op.create_index("ix_proofs_address", "proofs", ["address", "created_at"])
    op.create_table(
        "forgotten_passwords",
        sa.Column("login", sa.String(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_forgotten_passwords")),
    )


def downgrade() -> None:
    op.drop_table("forgotten_passwords")
    op.drop_table("proofs")
