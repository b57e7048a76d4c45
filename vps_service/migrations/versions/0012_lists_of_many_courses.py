"""lists of courses cost the same however many there are"""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_courses_teacher", "courses", ["teacher_id", "id"])
    op.drop_index("ix_courses_teacher_id", "courses")
    pending = "status = 'pending' AND deleted_at IS NULL"
    op.create_index("ix_courses_pending", "courses", ["id"], postgresql_where=pending)
    op.execute("ALTER INDEX ix_courses_search SET (fastupdate = off)")
    op.execute("SELECT gin_clean_pending_list('ix_courses_search')")


def downgrade() -> None:
    op.execute("ALTER INDEX ix_courses_search RESET (fastupdate)")
    op.drop_index("ix_courses_pending", "courses")
    op.create_index("ix_courses_teacher_id", "courses", ["teacher_id"])
    op.drop_index("ix_courses_teacher", "courses")
