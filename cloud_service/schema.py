"""The schema of the node's SQLite, release by release."""

FIRST = """
-- The node's own rows.
CREATE TABLE videos (
    id TEXT PRIMARY KEY,
    lesson_id TEXT NOT NULL UNIQUE,
    course_id TEXT NOT NULL,
    owner_id TEXT NOT NULL,
    teacher_username TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    duration_s REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    stored_at INTEGER NOT NULL
) STRICT;
CREATE TABLE deleted_videos (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL) STRICT;
CREATE TABLE uploads (id TEXT PRIMARY KEY, lesson_id TEXT NOT NULL UNIQUE, owner_id TEXT NOT NULL) STRICT;
CREATE TABLE outbox (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    event TEXT NOT NULL,
    set_aside TEXT
) STRICT;

-- What the VPS told us. Losing these four loses nothing but time.
CREATE TABLE grants (
    user_id TEXT NOT NULL,
    course_id TEXT NOT NULL,
    video_id TEXT NOT NULL, -- '' for every video of the course
    teacher_username TEXT NOT NULL,
    via TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (user_id, course_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX grants_course ON grants (course_id, teacher_username);
-- Up to which version rights with these ids (each one, or '' for whichever) have ended.
CREATE TABLE ended (
    user_id TEXT NOT NULL,
    course_id TEXT NOT NULL,
    video_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (user_id, course_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE teachers (user_id TEXT PRIMARY KEY, answer TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE remembered (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
"""
SECOND = """
DROP TABLE ended;
DELETE FROM remembered;
DELETE FROM grants;
DELETE FROM teachers;
ALTER TABLE grants ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; -- of the token that it was given to
ALTER TABLE teachers ADD COLUMN generation INTEGER NOT NULL DEFAULT 0;
DROP TABLE deleted_videos;
CREATE TABLE deleted_courses (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
ALTER TABLE outbox ADD COLUMN video_id TEXT NOT NULL DEFAULT '';
ALTER TABLE outbox ADD COLUMN added_at INTEGER NOT NULL DEFAULT 0; -- Unix seconds
ALTER TABLE outbox ADD COLUMN failures INTEGER NOT NULL DEFAULT 0; -- answers that were no answer
UPDATE outbox SET video_id = json_extract(event, '$.about.video_id'), added_at = unixepoch();
"""
THIRD = """
CREATE TABLE videos_now (
    id TEXT PRIMARY KEY,
    kind TEXT NOT NULL CHECK (kind IN ('course', 'practice', 'file')),
    title TEXT NOT NULL,
    lesson_id TEXT NOT NULL, -- '' for a practice video
    course_id TEXT NOT NULL, -- a practice video's owner
    owner_id TEXT NOT NULL,
    teacher_username TEXT NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    duration_s REAL NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    plays INTEGER NOT NULL,
    replaces TEXT NOT NULL, -- '' for none
    status TEXT NOT NULL CHECK (status IN ('processing', 'ready', 'error')),
    reason TEXT NOT NULL,
    renditions TEXT NOT NULL, -- JSON
    stored_at INTEGER NOT NULL
) STRICT;
INSERT INTO videos_now
    SELECT id, 'course', '', lesson_id, course_id, owner_id, teacher_username, size, sha256, media_type, duration_s,
           width, height, media_type IN ('video/mp4', 'video/webm'), '', 'processing', '', '[]', stored_at FROM videos;
DROP TABLE videos;
ALTER TABLE videos_now RENAME TO videos;
-- One video plays in a lesson, one may be on its way to take its place.
CREATE UNIQUE INDEX videos_of_lesson ON videos (lesson_id, replaces) WHERE kind = 'course';

-- Uploads in one request, while they last. A place takes one at a time: a lesson, or whatever else was named.
DROP TABLE uploads;
CREATE TABLE uploads (id TEXT PRIMARY KEY, place TEXT NOT NULL UNIQUE, owner_id TEXT NOT NULL) STRICT;

-- Uploads that can be resumed, until they expire. How far each one is, its part in the media folder tells.
CREATE TABLE resumable_uploads (
    id TEXT PRIMARY KEY, -- the video's, later on
    owner_id TEXT NOT NULL,
    length INTEGER NOT NULL,
    metadata TEXT NOT NULL, -- as the client sent it
    created_at INTEGER NOT NULL,
    sure_bytes INTEGER, -- while more than these are being checked: what a crash leaves of it
    idempotency_key TEXT, -- that it was begun with
    UNIQUE (owner_id, idempotency_key)
) STRICT;

CREATE TABLE idempotency_keys (
    owner_id TEXT NOT NULL,
    key TEXT NOT NULL,
    request TEXT NOT NULL, -- what it was first sent with, but for the body
    video_id TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    PRIMARY KEY (key)
) STRICT, WITHOUT ROWID;

CREATE TABLE captions (
    video_id TEXT NOT NULL,
    language TEXT NOT NULL, -- BCP 47
    size INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (video_id, language)
) STRICT, WITHOUT ROWID;

-- What the workers have to do, and who of them is at it.
CREATE TABLE jobs (
    video_id TEXT PRIMARY KEY,
    owner_id TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before REAL NOT NULL DEFAULT 0, -- seconds of uptime, as all times of leases
    lease TEXT,
    leased_until REAL NOT NULL DEFAULT 0,
    boot TEXT NOT NULL DEFAULT '', -- since which start of the machine its times count
    step TEXT NOT NULL DEFAULT '', -- as far as its worker has come with it
    percent INTEGER NOT NULL DEFAULT 0,
    speed REAL NOT NULL DEFAULT 0, -- seconds of video a second
    log TEXT NOT NULL DEFAULT '[]', -- JSON, one entry a step
    is_old INTEGER NOT NULL DEFAULT 0 -- from before there were workers: what has come since goes first
) STRICT;
INSERT INTO jobs (video_id, owner_id, added_at, is_old) SELECT id, owner_id, stored_at, 1 FROM videos;
-- What was done about videos that wait no more.
CREATE TABLE processed (video_id TEXT PRIMARY KEY, log TEXT NOT NULL) STRICT;
-- When each owner last had a turn: whoever waited longest is next.
CREATE TABLE turns (owner_id TEXT PRIMARY KEY, number INTEGER NOT NULL) STRICT;
-- Which videos the workers changed; the node looks here, and puts what it reads into its memory.
CREATE TABLE news (number INTEGER PRIMARY KEY AUTOINCREMENT, video_id TEXT NOT NULL) STRICT;
"""
FOURTH = """
-- What signs the links of playbacks. The newest signs, the one before is still good.
CREATE TABLE playback_secrets (
    number INTEGER PRIMARY KEY, -- when it was made, in Unix seconds, or one more than the last
    value BLOB NOT NULL,
    made_at INTEGER NOT NULL
) STRICT;
CREATE TABLE playbacks (
    id TEXT PRIMARY KEY,
    video_id TEXT NOT NULL,
    user_id TEXT NOT NULL,
    generation INTEGER NOT NULL, -- of the token that it was begun with
    has_original INTEGER NOT NULL, -- whether it was offered
    boot TEXT NOT NULL, -- since which start of the machine its times count, in seconds of uptime
    began_at REAL NOT NULL,
    used_at REAL, -- its links, the last time
    has_moved INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
"""
FIFTH = """
ALTER TABLE grants ADD COLUMN may_download INTEGER NOT NULL DEFAULT 0; -- the originals too, to be kept
UPDATE grants SET may_download = 1 WHERE via = 'owner';
DELETE FROM grants WHERE via IN ('key', 'review'); -- some of these may, some not: they are asked about again
"""
SIXTH = """
-- What the VPS is told of a playback is all that is known of it, so that the newest word stands for those before.
ALTER TABLE outbox ADD COLUMN playback_id TEXT NOT NULL DEFAULT ''; -- and no video_id then
CREATE INDEX outbox_playback ON outbox (playback_id);
DELETE FROM playbacks; -- of which nobody was told
ALTER TABLE playbacks ADD COLUMN began_unix REAL NOT NULL DEFAULT 0; -- `began_at` by the VPS's clock
ALTER TABLE playbacks ADD COLUMN viewed_at REAL; -- when the first bytes of moving picture were sent, as that
ALTER TABLE playbacks ADD COLUMN watched TEXT NOT NULL DEFAULT '[]'; -- JSON, stretches in seconds of the video
ALTER TABLE playbacks ADD COLUMN run TEXT; -- JSON, what was sent since the last seek
-- Where a user was in a video the last time; `at` in Unix seconds.
CREATE TABLE positions (
    user_id TEXT NOT NULL,
    video_id TEXT NOT NULL,
    position_s REAL NOT NULL,
    at REAL NOT NULL,
    PRIMARY KEY (user_id, video_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX positions_video ON positions (video_id);
"""
SEVENTH = """
CREATE TABLE ended_sessions (id TEXT PRIMARY KEY, ended_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
ALTER TABLE playbacks ADD COLUMN session_id TEXT NOT NULL DEFAULT ''; -- of the token that it was begun with
"""
EIGHTH = """
-- Whom the VPS has let in since a time of which nobody here knows what ended.
CREATE TABLE confirmed_sessions (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
MIGRATIONS = (FIRST, SECOND, THIRD, FOURTH, FIFTH, SIXTH, SEVENTH, EIGHTH)
"""Each brings the file from one schema version (PRAGMA user_version) to the next. None that was released may change."""
CACHE_TABLES = ("grants", "teachers", "deleted_courses", "ended_sessions", "confirmed_sessions")
"""What the VPS told us, and can be asked again."""
