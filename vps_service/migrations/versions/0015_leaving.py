"""accounts that are deleted: those who asked for it, and what is left of them"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

REACHABLE = "email IS NOT NULL OR phone IS NOT NULL"


def _constrain_users(states: str, reachable: str) -> None:
    for name, condition in (("state", states), ("reachable", reachable)):
        op.drop_constraint(op.f(f"ck_users_{name}"), "users")
        op.create_check_constraint(op.f(f"ck_users_{name}"), "users", condition)


def upgrade() -> None:
    _constrain_users("state IN ('active', 'banned', 'leaving', 'deleted')", f"{REACHABLE} OR state = 'deleted'")
    op.create_table(
        "leavings",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("unpublished", postgresql.ARRAY(sa.Uuid()), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_leavings_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_leavings")),
    )
    op.create_index(op.f("ix_leavings_due_at"), "leavings", ["due_at"], unique=False)
    op.create_index(op.f("ix_videos_owner_id"), "videos", ["owner_id"], unique=False)
    op.create_index(op.f("ix_playbacks_user_id"), "playbacks", ["user_id"], unique=False)
    op.create_index(op.f("ix_keys_user_id"), "keys", ["user_id"], unique=False)


def downgrade() -> None:
    op.drop_index(op.f("ix_keys_user_id"), table_name="keys")
    op.drop_index(op.f("ix_playbacks_user_id"), table_name="playbacks")
    op.drop_index(op.f("ix_videos_owner_id"), table_name="videos")
    # Who is on the way out may still change their mind, and so is let in; who was deleted is let in by nobody.
    op.execute(
        "UPDATE courses SET status = 'published' FROM leavings JOIN users ON users.id = leavings.user_id"
        " WHERE users.state = 'leaving' AND courses.id = ANY (leavings.unpublished)"
        " AND courses.status = 'archived' AND courses.deleted_at IS NULL"
    )
    op.execute("UPDATE users SET state = 'active' WHERE state = 'leaving'")
    op.execute(
        "UPDATE users SET state = 'banned', email = id || '@deleted.invalid', phone = NULL, name = '', image_id = NULL,"
        " username = 'deleted:' || replace(id::text, '-', ''), password_hash = '!' WHERE state = 'deleted'"
    )
    op.drop_index(op.f("ix_leavings_due_at"), table_name="leavings")
    op.drop_table("leavings")
    _constrain_users("state IN ('active', 'banned')", REACHABLE)
