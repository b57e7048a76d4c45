"""admins find users at the same cost however many there are"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

# As for teachers: where there is no pg_trgm, users are searched without an index.
WITH_TRIGRAMS = """
DO $$
BEGIN
    CREATE INDEX ix_users_by_all ON users USING gin (
        lower(name || ' ' || username || ' ' || coalesce(email, '') || ' ' || coalesce(phone, '')) gin_trgm_ops
    );
EXCEPTION WHEN undefined_object THEN
    RAISE NOTICE 'without pg_trgm: %', SQLERRM;
END $$
"""


def upgrade() -> None:
    op.execute(WITH_TRIGRAMS)


def downgrade() -> None:
    op.execute("DROP INDEX IF EXISTS ix_users_by_all")
