"""a way to trim the log of sign-ins and privileged acts, which is itself in the log"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TRIM = """
CREATE FUNCTION trim_audit_events(trimming uuid, before timestamptz, at_most integer) RETURNS integer
LANGUAGE plpgsql AS $$
DECLARE
    -- Ids are UUIDv7: they begin with when they were made, in milliseconds.
    first_to_stay uuid := lpad(to_hex(floor(extract(epoch FROM before) * 1000)::bigint), 12, '0') || repeat('0', 20);
    gone integer;
BEGIN
    IF before > now() - interval '30 days' THEN
        RAISE EXCEPTION 'audit_events of the last 30 days stay' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('toptank.trimming', 'yes', true);
    DELETE FROM audit_events WHERE id IN (
        SELECT id FROM audit_events WHERE id < first_to_stay ORDER BY id LIMIT at_most
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    PERFORM set_config('toptank.trimming', '', true);
    IF gone > 0 THEN
        INSERT INTO audit_events (id, what, details)
        VALUES (trimming, 'audit_trimmed', jsonb_build_object('events', gone, 'before', before));
    END IF;
    RETURN gone;
END
$$
"""
STAY = "CREATE TRIGGER {} BEFORE {} ON audit_events FOR EACH {} EXECUTE FUNCTION refuse_to_change_audit_events()"
NOT_TRIMMING = "STATEMENT WHEN (current_setting('toptank.trimming', true) IS DISTINCT FROM 'yes')"
YOUNG = (
    "ROW WHEN (old.id >= (lpad(to_hex(floor(extract(epoch FROM now() - interval '30 days') * 1000)::bigint), 12, '0')"
    " || repeat('0', 20))::uuid)"
)
"""Whatever is set, by whomever."""


def upgrade() -> None:
    op.execute(TRIM)
    op.execute("DROP TRIGGER audit_events_stay ON audit_events")
    op.execute(STAY.format("audit_events_stay", "TRUNCATE", "STATEMENT"))
    op.execute(STAY.format("audit_events_stay_unless_trimmed", "DELETE", NOT_TRIMMING))
    op.execute(STAY.format("audit_events_stay_while_young", "DELETE", YOUNG))


def downgrade() -> None:
    for trigger in ("audit_events_stay_while_young", "audit_events_stay_unless_trimmed", "audit_events_stay"):
        op.execute(f"DROP TRIGGER {trigger} ON audit_events")
    op.execute(STAY.format("audit_events_stay", "DELETE OR TRUNCATE", "STATEMENT"))
    op.execute("DROP FUNCTION trim_audit_events")
