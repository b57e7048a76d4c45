"""Who may do what: every route of both services, for everybody there is. `test_policy` walks it.

`gets` says what becomes of each of ACTORS: `ok`, not refused for who they are; or the status that they are refused
with. What a path names is there, and somebody's: the course and all that is in it are the owner's, another verified
teacher is their rival; the key, the payment, the practice video and the upload are the buyer's. A route that acts on
things of several kinds has a row for each, told apart by `#`. Those in LAST_OF_ALL take away what others need.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.tus.table import OCTETS, VERSION, metadata

ACTORS = ("nobody", "banned", "student", "buyer", "owner", "rival", "admin")
"""The banned one has a token of before; the student has bought nothing."""


@dataclass(frozen=True)
class Rule:
    """`{names}` in what is sent are of the scene; `content` names bytes of it."""

    gets: str
    json: Mapping[str, Any] | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    content: str = ""

    def by_actor(self) -> dict[str, str]:
        return dict(zip(ACTORS, self.gets.split(), strict=True))


OPEN = "ok ok ok ok ok ok ok"
GOOD_TOKEN_OR_NONE = "ok 401 ok ok ok ok ok"
SIGNED_IN = "401 401 ok ok ok ok ok"
LEARNERS = "401 401 ok ok ok ok 403"
TEACHERS = "401 401 403 403 ok ok 403"
OWNER = "401 401 403 403 ok 404 403"
OWNER_AND_ADMINS = "404 401 404 404 ok 404 ok"
BUYER = "401 401 404 ok 404 404 404"
BUYER_AND_ADMINS = "401 401 404 ok 404 404 ok"
ADMINS = "401 401 403 403 403 403 ok"
NODES = "401 401 401 401 401 401 401"

VPS = {
    "POST /api/auth/register": Rule(OPEN, json={}),
    "POST /api/auth/register/teacher": Rule(OPEN, json={}),
    "POST /api/auth/login": Rule(OPEN, json={}),
    "POST /api/auth/refresh": Rule(OPEN, json={}),
    "POST /api/auth/logout": Rule(OPEN, json={"refresh_token": "of nobody"}),
    "POST /api/auth/verify-email": Rule(OPEN, json={"token": "of nobody"}),
    "POST /api/auth/verify-email/resend": Rule(SIGNED_IN),
    "POST /api/auth/forgot-password": Rule(OPEN, json={"login": "nobody"}),
    "POST /api/auth/reset-password": Rule(OPEN, json={}),
    "POST /api/auth/change-password": Rule(SIGNED_IN, json={}),
    "POST /api/auth/change-email": Rule(OPEN, json={"token": "of nobody"}),
    "POST /api/auth/verify-phone/send": Rule(SIGNED_IN),
    "POST /api/auth/verify-phone": Rule(SIGNED_IN, json={}),
    "POST /api/auth/totp": Rule(SIGNED_IN, json={}),
    "POST /api/auth/totp/confirm": Rule(SIGNED_IN, json={}),
    "POST /api/auth/totp/recovery-codes": Rule(SIGNED_IN, json={}),
    "POST /api/auth/totp/remove": Rule(SIGNED_IN, json={}),
    "GET /api/auth/me": Rule(SIGNED_IN),
    "POST /api/users/me/email": Rule(SIGNED_IN, json={}),
    "POST /api/users/me/phone": Rule(SIGNED_IN, json={}),
    "GET /api/users/me/export": Rule(SIGNED_IN),
    "DELETE /api/users/me": Rule(SIGNED_IN, json={}),
    "GET /api/users/me": Rule(SIGNED_IN),
    "PATCH /api/users/me": Rule(SIGNED_IN, json={"bio": "Plays the oud"}),
    "PUT /api/users/me/avatar": Rule(SIGNED_IN),
    "GET /api/users/me/following": Rule(SIGNED_IN),
    "GET /api/users/{username}": Rule(OPEN),
    "GET /api/teachers": Rule(OPEN),
    "GET /api/teachers/{username}": Rule(GOOD_TOKEN_OR_NONE),
    "GET /api/auth/sessions": Rule(SIGNED_IN),
    "DELETE /api/auth/sessions/{session_id}": Rule(BUYER),
    "DELETE /api/auth/sessions": Rule(SIGNED_IN),
    "GET /api/images/{image_id}/{size}": Rule(OPEN),
    "GET /.well-known/jwks.json": Rule(OPEN),
    "PUT /api/teachers/{username}/follow": Rule(LEARNERS),
    "DELETE /api/teachers/{username}/follow": Rule(LEARNERS),
    "GET /api/courses": Rule(OPEN),
    "GET /api/courses/{course_id}": Rule(GOOD_TOKEN_OR_NONE),
    "GET /api/courses/{course_id} #draft": Rule(OWNER_AND_ADMINS),
    "POST /api/courses": Rule(TEACHERS, json={"title": "Ney", "price": {"amount": 0, "currency": "EGP"}}),
    "PATCH /api/courses/{course_id}": Rule(OWNER, json={"title": "The oud"}),
    "PATCH /api/courses/{course_id} #draft": Rule(OWNER, json={"title": "The oud"}),
    "DELETE /api/courses/{course_id}": Rule(OWNER),
    "POST /api/courses/{course_id}/submit": Rule(OWNER),
    "POST /api/courses/{course_id}/archive": Rule(OWNER),
    "POST /api/courses/{course_id}/sections": Rule(OWNER, json={"title": "More"}),
    "POST /api/sections/{section_id}/lessons": Rule(OWNER, json={"title": "More"}),
    "PATCH /api/lessons/{lesson_id}": Rule(OWNER, json={"title": "Holding it"}),
    "GET /api/teacher/courses": Rule(TEACHERS),
    "POST /api/payments": Rule(LEARNERS, json={"course_id": "{course_id}", "provider": "simulator"}),
    "POST /api/payments #draft": Rule(
        "401 401 404 404 ok 404 403", json={"course_id": "{draft_id}", "provider": "simulator"}
    ),
    "GET /api/payments": Rule(SIGNED_IN),
    "POST /api/payments/{payment_id}/verify": Rule(BUYER),
    "POST /api/payments/webhooks/{provider}": Rule(OPEN, json={}),
    "POST /api/courses/{course_id}/enroll": Rule(LEARNERS),
    "POST /api/courses/{course_id}/enroll #draft": Rule("401 401 404 404 ok 404 403"),
    "GET /api/courses/{course_id}/key": Rule(BUYER),
    "GET /api/keys": Rule(SIGNED_IN),
    "GET /api/admin/courses": Rule(ADMINS),
    "POST /api/admin/courses/{course_id}/approve": Rule(ADMINS),
    "POST /api/admin/courses/{course_id}/reject": Rule(ADMINS, json={"reason": "Too short"}),
    "POST /api/admin/courses/{course_id}/unpublish": Rule(ADMINS),
    "GET /api/admin/users": Rule(ADMINS),
    "POST /api/admin/users/{user_id}/ban": Rule(ADMINS),
    "POST /api/admin/users/{user_id}/activate": Rule(ADMINS),
    "PUT /api/admin/users/{user_id}/role": Rule(ADMINS, json={"role": "teacher"}),
    "POST /api/admin/teachers/{username}/verify": Rule(ADMINS),
    "POST /api/admin/teachers/{username}/demote": Rule(ADMINS),
    "POST /api/admin/payments/{payment_id}/refund": Rule(ADMINS),
    "POST /api/admin/keys/{key_id}/void": Rule(ADMINS),
    "GET /api/admin/nodes": Rule(ADMINS),
    "GET /api/admin/audit": Rule(ADMINS),
    "GET /api/lessons/{lesson_id}/upload-place": Rule(OWNER),
    "GET /api/users/me/upload-place": Rule(SIGNED_IN),
    "GET /api/users/me/videos": Rule(SIGNED_IN),
    "GET /api/users/me/shared-videos": Rule(SIGNED_IN),
    "GET /api/videos/{video_id} #practice": Rule(BUYER_AND_ADMINS),
    "PATCH /api/videos/{video_id} #practice": Rule(BUYER, json={"title": "Slower"}),
    "GET /api/videos/{video_id}/shares #practice": Rule(BUYER),
    "PUT /api/videos/{video_id}/shares/{username} #practice": Rule(BUYER),
    "DELETE /api/videos/{video_id}/shares/{username} #practice": Rule(BUYER),
    "GET /internal/access-keys": Rule(NODES),
    "POST /internal/access": Rule(NODES),
    "POST /internal/posters": Rule(NODES),
    "POST /internal/standing": Rule(NODES),
    "POST /internal/upload-rights": Rule(NODES),
    "POST /internal/deletions": Rule(NODES),
    "POST /internal/events": Rule(NODES),
    "GET /internal/changes": Rule(NODES),
    "POST /internal/reports": Rule(NODES),
    "POST /internal/reconcile/courses": Rule(NODES),
    "POST /internal/reconcile/videos": Rule(NODES),
    "POST /internal/reconcile/grants": Rule(NODES),
    "POST /internal/reconcile/done": Rule(NODES),
    "GET /health/live": Rule(OPEN),
    "GET /health/ready": Rule(OPEN),
    "GET /metrics": Rule(OPEN),
}

WATCHING = "401 401 403 ok ok 403 ok"
OF_OWNER = "401 401 404 404 ok 404 404"
OF_OWNER_AND_ADMINS = "401 401 404 404 ok 404 ok"
INTO_LESSON = {"lesson_id": "{lesson_id}"}
PRACTICE = {"kind": "practice", "title": "Scales"}
RESUMED = {**VERSION, "Upload-Length": "100"}
BYTES = {**VERSION, **OCTETS, "Upload-Offset": "0"}

CLOUD = {
    "GET /uploads/permission": Rule(SIGNED_IN),
    "OPTIONS /uploads": Rule(OPEN),
    "POST /uploads": Rule(OWNER, headers={**RESUMED, "Upload-Metadata": "{into_lesson}"}),
    "POST /uploads #practice": Rule(SIGNED_IN, headers={**RESUMED, "Upload-Metadata": metadata(**PRACTICE)}),
    "HEAD /uploads/{upload_id}": Rule(BUYER, headers=VERSION),
    "PATCH /uploads/{upload_id}": Rule(BUYER, headers=BYTES, content="beginning"),
    "DELETE /uploads/{upload_id}": Rule(BUYER, headers=VERSION),
    "POST /videos": Rule(OWNER, query=INTO_LESSON, content="film"),
    "POST /videos #practice": Rule(SIGNED_IN, query=PRACTICE, content="film"),
    "GET /videos/{video_id}": Rule(WATCHING),
    "GET /videos/{video_id} #practice": Rule(BUYER_AND_ADMINS),
    "GET /videos/{video_id}/processing": Rule(OF_OWNER_AND_ADMINS),
    "GET /videos/{video_id}/processing #practice": Rule(BUYER_AND_ADMINS),
    "GET /videos/{video_id}/stream": Rule(WATCHING),
    "GET /videos/{video_id}/stream #practice": Rule(BUYER_AND_ADMINS),
    "HEAD /videos/{video_id}/stream": Rule(WATCHING),
    "POST /videos/{video_id}/playback": Rule(WATCHING),
    "POST /videos/{video_id}/playback #practice": Rule(BUYER_AND_ADMINS),
    "GET /play/{token}/{name}": Rule(OPEN),
    "HEAD /play/{token}/{name}": Rule(OPEN),
    "GET /posters/{video_id}": Rule(OPEN),
    "HEAD /posters/{video_id}": Rule(OPEN),
    "GET /posters/{video_id} #practice": Rule("404 404 404 404 404 404 404"),
    "PUT /videos/{video_id}/captions/{language}": Rule(OF_OWNER, content="captions"),
    "GET /videos/{video_id}/captions/{language}": Rule(WATCHING),
    "DELETE /videos/{video_id}/captions/{language}": Rule(OF_OWNER),
    "POST /files": Rule(OWNER, query={**INTO_LESSON, "name": "notes.pdf"}, content="document"),
    "GET /files/{file_id}": Rule(WATCHING),
    "HEAD /files/{file_id}": Rule(WATCHING),
    "DELETE /files/{file_id}": Rule(OF_OWNER),
    "DELETE /videos/{video_id}": Rule(OF_OWNER),
    "DELETE /videos/{video_id} #practice": Rule(BUYER),
    "DELETE /courses/{course_id}": Rule(OWNER),
    "GET /health/live": Rule(OPEN),
    "GET /health/ready": Rule(OPEN),
    "GET /metrics": Rule(OPEN),
}

TABLES = {"vps": VPS, "cloud": CLOUD}
"""By service."""
LAST_OF_ALL = (
    ("vps", "POST /api/admin/teachers/{username}/demote"),
    ("vps", "POST /api/admin/payments/{payment_id}/refund"),
    ("cloud", "DELETE /uploads/{upload_id}"),
    ("cloud", "DELETE /videos/{video_id}/captions/{language}"),
    ("cloud", "DELETE /files/{file_id}"),
    ("cloud", "DELETE /videos/{video_id} #practice"),
    ("cloud", "DELETE /videos/{video_id}"),
    ("vps", "POST /api/courses/{course_id}/archive"),
    ("vps", "POST /api/admin/courses/{course_id}/unpublish"),
    ("vps", "DELETE /api/courses/{course_id}"),
    ("cloud", "DELETE /courses/{course_id}"),
    ("vps", "DELETE /api/auth/sessions/{session_id}"),
    ("vps", "DELETE /api/auth/sessions"),
)


def rows() -> list[tuple[str, str]]:
    """Service and route, those last that take something away."""
    everything = [(service, route) for service, table in TABLES.items() for route in table]
    return [row for row in everything if row not in LAST_OF_ALL] + list(LAST_OF_ALL)
