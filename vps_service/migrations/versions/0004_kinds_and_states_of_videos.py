"""kinds and states of videos: practice videos, lesson files, renditions, replacements"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

CURRENT = "kind = 'course' AND replaces_id IS NULL AND deleted_at IS NULL"


def upgrade() -> None:
    # Videos of before are to be processed: their nodes' own migration says so too.
    for name, value in (("kind", "course"), ("title", ""), ("status", "processing"), ("reason", "")):
        op.add_column("videos", sa.Column(name, sa.String(), server_default=value, nullable=False))
        op.alter_column("videos", name, server_default=None)
    op.add_column("videos", sa.Column("renditions", postgresql.JSONB(), server_default="[]", nullable=False))
    op.alter_column("videos", "renditions", server_default=None)
    op.add_column("videos", sa.Column("replaces_id", sa.Uuid(), nullable=True))
    op.alter_column("videos", "lesson_id", nullable=True)
    op.alter_column("videos", "course_id", nullable=True)
    op.drop_constraint(op.f("fk_videos_teacher_id"), "videos")
    op.alter_column("videos", "teacher_id", new_column_name="owner_id")
    op.create_foreign_key(op.f("fk_videos_owner_id"), "videos", "users", ["owner_id"], ["id"])
    op.create_foreign_key(op.f("fk_videos_replaces_id"), "videos", "videos", ["replaces_id"], ["id"])
    op.create_check_constraint(op.f("ck_videos_kind"), "videos", "kind IN ('course', 'practice', 'file')")
    op.create_check_constraint(op.f("ck_videos_status"), "videos", "status IN ('processing', 'ready', 'error')")
    op.create_check_constraint(
        op.f("ck_videos_place"),
        "videos",
        "(kind = 'practice') = (lesson_id IS NULL) AND (kind = 'practice') = (course_id IS NULL)",
    )
    op.create_check_constraint(op.f("ck_videos_replaces"), "videos", "kind = 'course' OR replaces_id IS NULL")
    op.drop_index("uq_videos_lesson_id", table_name="videos", postgresql_where="deleted_at IS NULL")
    op.create_index("uq_videos_lesson_id", "videos", ["lesson_id"], unique=True, postgresql_where=CURRENT)
    op.create_index(
        "uq_videos_replaces_id", "videos", ["replaces_id"], unique=True, postgresql_where="deleted_at IS NULL"
    )
    op.create_index(
        "ix_videos_practice",
        "videos",
        ["owner_id", "id"],
        unique=False,
        postgresql_where="kind = 'practice' AND deleted_at IS NULL",
    )


def downgrade() -> None:
    op.execute("DELETE FROM videos WHERE replaces_id IS NOT NULL")
    op.execute("DELETE FROM videos WHERE kind <> 'course'")
    op.drop_index(
        "ix_videos_practice", table_name="videos", postgresql_where="kind = 'practice' AND deleted_at IS NULL"
    )
    op.drop_index("uq_videos_replaces_id", table_name="videos", postgresql_where="deleted_at IS NULL")
    op.drop_index("uq_videos_lesson_id", table_name="videos", postgresql_where=CURRENT)
    op.create_index("uq_videos_lesson_id", "videos", ["lesson_id"], unique=True, postgresql_where="deleted_at IS NULL")
    for name in ("replaces", "place", "status", "kind"):
        op.drop_constraint(op.f(f"ck_videos_{name}"), "videos")
    op.drop_constraint(op.f("fk_videos_replaces_id"), "videos")
    op.drop_constraint(op.f("fk_videos_owner_id"), "videos")
    op.alter_column("videos", "owner_id", new_column_name="teacher_id")
    op.create_foreign_key(op.f("fk_videos_teacher_id"), "videos", "teachers", ["teacher_id"], ["user_id"])
    op.alter_column("videos", "course_id", nullable=False)
    op.alter_column("videos", "lesson_id", nullable=False)
    for name in ("replaces_id", "renditions", "reason", "status", "title", "kind"):
        op.drop_column("videos", name)
