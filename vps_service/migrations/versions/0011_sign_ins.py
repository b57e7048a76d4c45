"""sign-ins: where somebody is signed in, so that each can be seen and ended by itself"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

KINDS_BEFORE = (
    *("key_granted", "key_refunded", "key_disputed", "key_voided"),
    *("user_banned", "user_activated", "user_signed_out", "user_role_changed"),
    *("teacher_verified", "teacher_demoted"),
    *("course_published", "course_unpublished", "course_deleted"),
    *("video_deleted", "lesson_preview_changed"),
    *("video_shared", "video_unshared", "video_visibility_changed", "practice_videos_hidden"),
    *("course_downloads_changed", "playback_moved"),
)
KINDS = (*KINDS_BEFORE, "session_ended")
ENDS_BEFORE = ("expired", "moved", "video_gone", "lost")
ENDS = ("expired", "moved", "video_gone", "signed_out", "lost")
FAMILIES = """
INSERT INTO sign_ins (id, user_id, device, address, created_at, last_used_at, expires_at)
    SELECT family, user_id, '', '', min(created_at), max(created_at), max(expires_at)
    FROM refresh_tokens GROUP BY family, user_id
"""


def one_of(column: str, values: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(value) for value in values)})"


def bound(table: str, column: str, values: tuple[str, ...]) -> None:
    name = op.f(f"ck_{table}_{column}")
    op.drop_constraint(name, table)
    op.create_check_constraint(name, table, one_of(f'"{column}"' if column == "end" else column, values))


def upgrade() -> None:
    op.create_table(
        "sign_ins",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("last_used_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_ins")),
    )
    op.create_index(op.f("ix_sign_ins_user_id"), "sign_ins", ["user_id"])
    op.create_index(op.f("ix_sign_ins_expires_at"), "sign_ins", ["expires_at"])
    op.execute(FAMILIES)
    name = op.f("fk_refresh_tokens_family")
    op.create_foreign_key(name, "refresh_tokens", "sign_ins", ["family"], ["id"], ondelete="CASCADE")
    op.add_column("refresh_tokens", sa.Column("salt", sa.LargeBinary(), nullable=True))
    op.create_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens", ["expires_at"])
    op.add_column("changes", sa.Column("session_id", sa.Uuid(), nullable=True))
    bound("changes", "kind", KINDS)
    bound("playbacks", "end", ENDS)


def downgrade() -> None:
    op.execute("UPDATE playbacks SET \"end\" = 'expired' WHERE \"end\" = 'signed_out'")
    bound("playbacks", "end", ENDS_BEFORE)
    # Numbers have no gaps: what an earlier release does not know becomes a change that ends nothing for good.
    op.execute("UPDATE changes SET kind = 'user_activated' WHERE kind = 'session_ended'")
    bound("changes", "kind", KINDS_BEFORE)
    op.drop_column("changes", "session_id")
    op.drop_index(op.f("ix_refresh_tokens_expires_at"), "refresh_tokens")
    op.drop_column("refresh_tokens", "salt")
    op.drop_constraint(op.f("fk_refresh_tokens_family"), "refresh_tokens")
    op.drop_table("sign_ins")
