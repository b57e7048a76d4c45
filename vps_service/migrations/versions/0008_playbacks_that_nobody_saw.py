"""playbacks that were never viewed are found to be forgotten"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_playbacks_unseen", "playbacks", ["ends_at"], postgresql_where="viewed_at IS NULL")


def downgrade() -> None:
    op.drop_index("ix_playbacks_unseen", "playbacks")
