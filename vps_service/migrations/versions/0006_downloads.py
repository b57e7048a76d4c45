"""courses whose videos may be downloaded"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KINDS_BEFORE = (
    *("key_granted", "key_refunded", "key_disputed", "key_voided"),
    *("user_banned", "user_activated", "user_signed_out", "user_role_changed"),
    *("teacher_verified", "teacher_demoted"),
    *("course_published", "course_unpublished", "course_deleted"),
    *("video_deleted", "lesson_preview_changed"),
    *("video_shared", "video_unshared", "video_visibility_changed", "practice_videos_hidden"),
)
KINDS = (*KINDS_BEFORE, "course_downloads_changed")


def one_of(kinds: tuple[str, ...]) -> str:
    return "kind IN ({})".format(", ".join(f"'{kind}'" for kind in kinds))


def upgrade() -> None:
    op.add_column("courses", sa.Column("downloads_allowed", sa.Boolean(), server_default="false", nullable=False))
    op.alter_column("courses", "downloads_allowed", server_default=None)
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS))


def downgrade() -> None:
    # Nodes of then do not know this kind: they start again with a new epoch.
    op.execute(f"DELETE FROM changes WHERE NOT {one_of(KINDS_BEFORE)}")  # noqa: S608
    op.execute("UPDATE change_counter SET epoch = gen_random_uuid()")
    op.drop_constraint(op.f("ck_changes_kind"), "changes")
    op.create_check_constraint(op.f("ck_changes_kind"), "changes", one_of(KINDS_BEFORE))
    op.drop_column("courses", "downloads_allowed")
