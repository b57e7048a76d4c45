"""playbacks: who watched what, and which of them had to make room for a later one"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KINDS_BEFORE = (
    *("key_granted", "key_refunded", "key_disputed", "key_voided"),
    *("user_banned", "user_activated", "user_signed_out", "user_role_changed"),
    *("teacher_verified", "teacher_demoted"),
    *("course_published", "course_unpublished", "course_deleted"),
    *("video_deleted", "lesson_preview_changed"),
    *("video_shared", "video_unshared", "video_visibility_changed", "practice_videos_hidden"),
    "course_downloads_changed",
)
KINDS = (*KINDS_BEFORE, "playback_moved")


def one_of(kinds: tuple[str, ...]) -> str:
    return "kind IN ({})".format(", ".join(f"'{kind}'" for kind in kinds))


def upgrade() -> None:
    op.create_table(
        "playbacks",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("node_id", sa.String(), nullable=False),
        sa.Column("began_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ends_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("viewed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("watched", postgresql.JSONB(), nullable=False),
        sa.Column("moved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end", sa.String(), nullable=True),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("\"end\" IN ('expired', 'moved', 'video_gone', 'lost')", name=op.f("ck_playbacks_end")),
        sa.CheckConstraint('(ended_at IS NULL) = ("end" IS NULL)', name=op.f("ck_playbacks_ended")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_playbacks")),
    )
    op.create_index("ix_playbacks_views", "playbacks", ["video_id"], postgresql_where="viewed_at IS NOT NULL")
    op.create_index(
        "ix_playbacks_live", "playbacks", ["user_id"], postgresql_where="ended_at IS NULL AND moved_at IS NULL"
    )
    op.create_index("ix_playbacks_of_node", "playbacks", ["node_id"], postgresql_where="ended_at IS NULL")
    op.add_column("changes", sa.Column("playback_id", sa.Uuid(), nullable=True))
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS))


def downgrade() -> None:
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    # Numbers have no gaps: what an earlier release does not know becomes a change that ends nothing for good.
    op.execute("UPDATE changes SET kind = 'user_activated' WHERE kind = 'playback_moved'")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS_BEFORE))
    op.drop_column("changes", "playback_id")
    op.drop_table("playbacks")
