"""an e-mail and a phone may be claimed by several accounts, and are of the one that has proved them

On the way back each is one account's again: of who has proved it, else of who has claimed it longest. The others lose
their claim, and sign in by username; who has no other address is given one where no mail goes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

LOST = """
UPDATE users SET {changes} FROM (
    SELECT id, row_number() OVER (PARTITION BY {column} ORDER BY {column}_verified_at IS NULL, id) AS place
    FROM users WHERE {column} IS NOT NULL
) claims WHERE claims.id = users.id AND claims.place > 1
"""
NOWHERE = "concat(users.id, '@claimed.invalid')"


def upgrade() -> None:
    for column in ("email", "phone"):
        op.drop_index(f"uq_users_{column}", table_name="users")
        proved = sa.text(f"{column}_verified_at IS NOT NULL")
        op.create_index(f"uq_users_{column}", "users", [column], unique=True, postgresql_where=proved)
        op.create_index(f"ix_users_{column}", "users", [column])


def downgrade() -> None:
    op.execute(LOST.format(column="email", changes=f"email = CASE WHEN phone IS NULL THEN {NOWHERE} END"))
    op.execute(LOST.format(column="phone", changes=f"phone = NULL, email = coalesce(email, {NOWHERE})"))
    for column in ("email", "phone"):
        op.drop_index(f"ix_users_{column}", table_name="users")
        op.drop_index(f"uq_users_{column}", table_name="users")
        op.create_index(f"uq_users_{column}", "users", [column], unique=True)
