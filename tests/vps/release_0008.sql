-- A small school as the release before accounts got sessions, mail and the rest kept it: a row or more in every table.
-- Ids end in what they are: 1 Sara, a student; 2 Omar, a verified teacher; 3 an admin; 4 somebody banned.
INSERT INTO users (id, role, name, username, email, phone, password_hash, image_id, state, generation, email_verified_at,
                   phone_verified_at, created_at) VALUES
    ('019a0000-0000-7000-8000-000000000001', 'student', 'سارة', 'sara', 'sara@example.com', '+201001234567', '', NULL,
     'active', 0, '2026-10-01T10:00:00Z', NULL, '2026-10-01T09:00:00Z'),
    ('019a0000-0000-7000-8000-000000000002', 'teacher', 'Omar', 'omar', NULL, '+201007654321', '',
     '019a0000-0000-7000-8000-0000000000f2', 'active', 3, NULL, '2026-10-02T10:00:00Z', '2026-10-02T09:00:00Z'),
    ('019a0000-0000-7000-8000-000000000003', 'admin', 'root', 'root', 'root@example.com', NULL, '', NULL,
     'active', 0, NULL, NULL, '2026-10-03T09:00:00Z'),
    ('019a0000-0000-7000-8000-000000000004', 'student', 'Out', 'out', 'out@example.com', NULL, '', NULL,
     'banned', 1, NULL, NULL, '2026-10-04T09:00:00Z');
INSERT INTO refresh_tokens (id, user_id, family, token_hash, expires_at, used_at, created_at) VALUES
    ('019a0000-0000-7000-8000-0000000000a1', '019a0000-0000-7000-8000-000000000001',
     '019a0000-0000-7000-8000-0000000000aa', sha256('spent-before-the-upgrade'), now() + interval '9 days',
     now() - interval '1 day', now() - interval '2 days'),
    ('019a0000-0000-7000-8000-0000000000a2', '019a0000-0000-7000-8000-000000000001',
     '019a0000-0000-7000-8000-0000000000aa', sha256('kept-over-the-upgrade'), now() + interval '9 days', NULL,
     now() - interval '1 day'),
    ('019a0000-0000-7000-8000-0000000000a3', '019a0000-0000-7000-8000-000000000002',
     '019a0000-0000-7000-8000-0000000000ab', sha256('omars-own-of-before'), now() + interval '9 days', NULL, now()),
    ('019a0000-0000-7000-8000-0000000000a4', '019a0000-0000-7000-8000-000000000001',
     '019a0000-0000-7000-8000-0000000000ac', sha256('expired-long-ago'), now() - interval '9 days', NULL,
     now() - interval '39 days');
INSERT INTO teachers (user_id, followers, verified_at, demoted_at) VALUES
    ('019a0000-0000-7000-8000-000000000002', 1, '2026-10-05T09:00:00Z', NULL);
INSERT INTO follows (teacher_id, follower_id, created_at) VALUES
    ('019a0000-0000-7000-8000-000000000002', '019a0000-0000-7000-8000-000000000001', '2026-10-05T09:00:00Z'),
    ('019a0000-0000-7000-8000-000000000002', '019a0000-0000-7000-8000-000000000004', '2026-10-06T09:00:00Z');
INSERT INTO courses (id, teacher_id, title, description, price_amount, currency, status, rejection_reason,
                     downloads_allowed, deleted_at) VALUES
    ('019a0000-0000-7000-8000-0000000000c1', '019a0000-0000-7000-8000-000000000002', 'العود', 'The oud', 10000, 'EGP',
     'published', NULL, true, NULL),
    ('019a0000-0000-7000-8000-0000000000c2', '019a0000-0000-7000-8000-000000000002', 'Gone', '', 0, 'EGP', 'rejected',
     'Too short', false, '2026-10-07T09:00:00Z');
INSERT INTO sections (id, course_id, title, position) VALUES
    ('019a0000-0000-7000-8000-0000000000d1', '019a0000-0000-7000-8000-0000000000c1', 'First steps', 1);
INSERT INTO lessons (id, course_id, section_id, kind, title, position, is_preview) VALUES
    ('019a0000-0000-7000-8000-0000000000e1', '019a0000-0000-7000-8000-0000000000c1',
     '019a0000-0000-7000-8000-0000000000d1', 'video', 'Holding it', 1, true);
INSERT INTO videos (id, kind, title, lesson_id, course_id, owner_id, node_id, size, sha256, media_type, duration_s,
                    status, reason, renditions, description, piece_name, composer, practice_goals, is_public) VALUES
    ('019a0000-0000-7000-8000-0000000000b1', 'course', '', '019a0000-0000-7000-8000-0000000000e1',
     '019a0000-0000-7000-8000-0000000000c1', '019a0000-0000-7000-8000-000000000002', 'node-1', 1000, 'abab',
     'video/mp4', 12.5, 'ready', '', '[{"name": "sd", "width": 160, "height": 90, "size": 500}]', '', '', '', '', false),
    ('019a0000-0000-7000-8000-0000000000b2', 'practice', 'Hijaz', NULL, NULL, '019a0000-0000-7000-8000-000000000001',
     'node-1', 2000, 'cdcd', 'video/webm', 3.5, 'processing', '', '[]', 'Slowly', 'Samai', 'Al Aryan', 'Tempo', true);
INSERT INTO video_shares (id, video_id, user_id) VALUES
    ('019a0000-0000-7000-8000-0000000000b3', '019a0000-0000-7000-8000-0000000000b2',
     '019a0000-0000-7000-8000-000000000002');
INSERT INTO payments (id, user_id, course_id, provider, provider_ref, checkout_url, amount, currency, status,
                      idempotency_key, paid_at, asked, answered) VALUES
    ('019a0000-0000-7000-8000-0000000000f1', '019a0000-0000-7000-8000-000000000001',
     '019a0000-0000-7000-8000-0000000000c1', 'simulator', 'ref-1', 'http://127.0.0.1:9/pay/1', 10000, 'EGP', 'paid',
     'key-of-saras', '2026-10-08T09:00:00Z', 2, 2);
INSERT INTO keys (id, user_id, course_id, payment_id, status) VALUES
    ('019a0000-0000-7000-8000-0000000000f3', '019a0000-0000-7000-8000-000000000001',
     '019a0000-0000-7000-8000-0000000000c1', '019a0000-0000-7000-8000-0000000000f1', 'active');
INSERT INTO ledger_entries (id, payment_id, reason, round, account, teacher_id, amount, currency) VALUES
    ('019a0000-0000-7000-8000-0000000000f4', '019a0000-0000-7000-8000-0000000000f1', 'sale', 0, 'provider', NULL,
     -10000, 'EGP'),
    ('019a0000-0000-7000-8000-0000000000f5', '019a0000-0000-7000-8000-0000000000f1', 'sale', 0, 'teacher',
     '019a0000-0000-7000-8000-000000000002', 10000, 'EGP');
INSERT INTO nodes (id, seen_at, url, report) VALUES ('node-1', now(), 'http://127.0.0.1:8001', '{"videos": 2}');
INSERT INTO node_keys (kid, node_id, pem) VALUES ('some', 'node-1', 'a public key');
INSERT INTO spent_tokens (id, expires_at) VALUES ('some', 4000000000);
INSERT INTO received_events (id, node_id, verdict) VALUES ('019a0000-0000-7000-8000-0000000000b4', 'node-1', 'applied');
INSERT INTO playbacks (id, video_id, user_id, node_id, began_at, ends_at, viewed_at, used_at, watched, moved_at,
                       ended_at, "end") VALUES
    ('019a0000-0000-7000-8000-0000000000b5', '019a0000-0000-7000-8000-0000000000b1',
     '019a0000-0000-7000-8000-000000000001', 'node-1', '2026-10-09T09:00:00Z', '2026-10-09T21:00:00Z',
     '2026-10-09T09:01:00Z', '2026-10-09T09:05:00Z', '[[0, 12.5]]', NULL, '2026-10-09T10:05:00Z', 'expired');
INSERT INTO changes (number, mark, kind, user_id, course_id, video_id, playback_id) VALUES
    (1, gen_random_uuid(), 'teacher_verified', '019a0000-0000-7000-8000-000000000002', NULL, NULL, NULL),
    (2, gen_random_uuid(), 'key_granted', '019a0000-0000-7000-8000-000000000001',
     '019a0000-0000-7000-8000-0000000000c1', NULL, NULL),
    (3, gen_random_uuid(), 'user_banned', '019a0000-0000-7000-8000-000000000004', NULL, NULL, NULL),
    (4, gen_random_uuid(), 'playback_moved', '019a0000-0000-7000-8000-000000000001', NULL,
     '019a0000-0000-7000-8000-0000000000b1', '019a0000-0000-7000-8000-0000000000b5');
UPDATE change_counter SET last = 4, mark = (SELECT mark FROM changes WHERE number = 4);
