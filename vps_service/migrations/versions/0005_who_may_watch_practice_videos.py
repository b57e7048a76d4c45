"""practice videos: what their owners say of them, whom they are shared with, public ones"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KINDS_BEFORE = (
    *("key_granted", "key_refunded", "key_disputed", "key_voided"),
    *("user_banned", "user_activated", "user_signed_out", "user_role_changed"),
    *("teacher_verified", "teacher_demoted"),
    *("course_published", "course_unpublished", "course_deleted"),
    *("video_deleted", "lesson_preview_changed"),
)
KINDS = (
    *KINDS_BEFORE,
    *("video_shared", "video_unshared", "video_visibility_changed", "practice_videos_hidden"),
)


def one_of(kinds: tuple[str, ...]) -> str:
    return "kind IN ({})".format(", ".join(f"'{kind}'" for kind in kinds))


def upgrade() -> None:
    for name in ("description", "piece_name", "composer", "practice_goals"):
        op.add_column("videos", sa.Column(name, sa.String(), server_default="", nullable=False))
        op.alter_column("videos", name, server_default=None)
    op.add_column("videos", sa.Column("is_public", sa.Boolean(), server_default="false", nullable=False))
    op.alter_column("videos", "is_public", server_default=None)
    op.create_check_constraint(op.f("ck_videos_public"), "videos", "kind = 'practice' OR NOT is_public")
    op.create_table(
        "video_shares",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_video_shares_user_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["video_id"], ["videos.id"], name=op.f("fk_video_shares_video_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_video_shares")),
        sa.UniqueConstraint("video_id", "user_id", name=op.f("uq_video_shares_video_id_user_id")),
    )
    op.create_index(op.f("ix_video_shares_user_id"), "video_shares", ["user_id"], unique=False)
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS))


def downgrade() -> None:
    # Nodes of then do not know these kinds: they start again with a new epoch.
    op.execute(f"DELETE FROM changes WHERE NOT {one_of(KINDS_BEFORE)}")  # noqa: S608
    op.execute("UPDATE change_counter SET epoch = gen_random_uuid()")
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS_BEFORE))
    op.drop_index(op.f("ix_video_shares_user_id"), table_name="video_shares")
    op.drop_table("video_shares")
    op.drop_constraint(op.f("ck_videos_public"), "videos")
    for name in ("is_public", "practice_goals", "composer", "piece_name", "description"):
        op.drop_column("videos", name)
