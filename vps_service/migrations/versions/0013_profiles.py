"""what users say of themselves, how teachers are found, and which follows count"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

# Some servers do not have pg_trgm, and some users may not install it: then names are searched without an index.
WITH_TRIGRAMS = """
DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS pg_trgm;
    CREATE INDEX ix_users_teachers_by_name ON users
        USING gin (lower(name || ' ' || username) gin_trgm_ops) WHERE role = 'teacher';
EXCEPTION WHEN undefined_file OR feature_not_supported OR insufficient_privilege OR undefined_object THEN
    RAISE NOTICE 'without pg_trgm: %', SQLERRM;
END $$
"""


def upgrade() -> None:
    _profiles()
    _which_follows_count()
    op.create_index("ix_teachers_followers", "teachers", ["followers", "user_id"])
    op.execute(WITH_TRIGRAMS)


def _profiles() -> None:
    op.add_column("users", sa.Column("locale", sa.String(), nullable=True))
    op.create_table(
        "profiles",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("bio", sa.String(), server_default="", nullable=False),
        sa.Column("instruments", sa.ARRAY(sa.String()), server_default="{}", nullable=False),
        sa.Column("experience_level", sa.String(), nullable=True),
        sa.Column("email_notifications", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("push_notifications", sa.Boolean(), server_default="true", nullable=False),
        sa.CheckConstraint(
            "experience_level IN ('beginner', 'intermediate', 'advanced', 'professional')",
            name=op.f("ck_profiles_experience_level"),
        ),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_profiles_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_profiles")),
    )


def _which_follows_count() -> None:
    op.add_column("follows", sa.Column("counts", sa.Boolean(), server_default="false", nullable=False))
    op.alter_column("follows", "counts", server_default=None)
    op.execute(
        "UPDATE follows SET counts = true FROM users u WHERE u.id = follower_id AND u.state = 'active'"
        " AND (u.email_verified_at IS NOT NULL OR u.phone_verified_at IS NOT NULL)"
    )
    op.execute(
        "UPDATE teachers t SET followers = c.counted FROM (SELECT t2.user_id, count(f.follower_id) AS counted"
        " FROM teachers t2 LEFT JOIN follows f ON f.teacher_id = t2.user_id AND f.counts GROUP BY t2.user_id) c"
        " WHERE c.user_id = t.user_id AND t.followers <> c.counted"
    )
    op.create_index("ix_follows_counted", "follows", ["teacher_id"], postgresql_where="counts")
    op.create_index("ix_follows_of_follower", "follows", ["follower_id", "created_at", "teacher_id"])
    op.drop_index("ix_follows_follower_id", "follows")


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_users_teachers_by_name")
    op.drop_index("ix_teachers_followers", "teachers")
    op.create_index("ix_follows_follower_id", "follows", ["follower_id"])
    op.drop_index("ix_follows_of_follower", "follows")
    op.drop_index("ix_follows_counted", "follows")
    op.drop_column("follows", "counts")
    op.drop_table("profiles")
    op.drop_column("users", "locale")
