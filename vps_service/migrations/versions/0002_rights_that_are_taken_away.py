"""rights that are taken away: sessions, verification, keys"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KINDS_BEFORE = ("key_granted", "course_deleted", "video_deleted", "teacher_verified")
KINDS = (
    *("key_granted", "key_refunded", "key_disputed", "key_voided"),
    *("user_banned", "user_activated", "user_signed_out", "user_role_changed"),
    *("teacher_verified", "teacher_demoted"),
    *("course_published", "course_unpublished", "course_deleted"),
    *("video_deleted", "lesson_preview_changed"),
)


def one_of(kinds: tuple[str, ...]) -> str:
    return "kind IN ({})".format(", ".join(f"'{kind}'" for kind in kinds))


def upgrade() -> None:
    op.add_column("users", sa.Column("generation", sa.Integer(), server_default="0", nullable=False))
    op.add_column("teachers", sa.Column("demoted_at", sa.DateTime(timezone=True), nullable=True))
    op.create_check_constraint(
        op.f("ck_teachers_verified_or_demoted"), "teachers", "verified_at IS NULL OR demoted_at IS NULL"
    )
    op.add_column("payments", sa.Column("asked", sa.Integer(), server_default="0", nullable=False))
    op.add_column("payments", sa.Column("answered", sa.Integer(), server_default="0", nullable=False))
    op.add_column("ledger_entries", sa.Column("round", sa.Integer(), server_default="0", nullable=False))
    op.drop_constraint(op.f("uq_ledger_entries_payment_id_reason_account"), "ledger_entries")
    op.create_unique_constraint(
        op.f("uq_ledger_entries_payment_id_reason_round_account"),
        "ledger_entries",
        ["payment_id", "reason", "round", "account"],
    )
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS))


def downgrade() -> None:
    # Nodes of then do not know these kinds: they start again with a new epoch.
    op.execute(f"DELETE FROM changes WHERE NOT {one_of(KINDS_BEFORE)}")  # noqa: S608
    op.execute("UPDATE change_counter SET epoch = gen_random_uuid()")
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS_BEFORE))
    op.drop_constraint(op.f("uq_ledger_entries_payment_id_reason_round_account"), "ledger_entries")
    op.execute("UPDATE ledger_entries SET reason = reason || '_' || round WHERE round > 1")
    op.create_unique_constraint(
        op.f("uq_ledger_entries_payment_id_reason_account"), "ledger_entries", ["payment_id", "reason", "account"]
    )
    op.drop_column("ledger_entries", "round")
    op.drop_column("payments", "answered")
    op.drop_column("payments", "asked")
    op.drop_constraint(op.f("ck_teachers_verified_or_demoted"), "teachers")
    op.drop_column("teachers", "demoted_at")
    op.drop_column("users", "generation")
