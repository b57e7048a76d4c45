"""Everything that crosses between the two services: each call's path, its body and its answer.

Calls carry a service token (shared/tokens.py). A change here is one commit on both sides; answers may gain fields,
which an older reader passes over.
"""

from typing import Literal, Self
from uuid import UUID

from pydantic import model_validator

from shared.schemas import Body, Moment, Out

VPS = "vps"
"""The VPS's name as issuer and audience of service tokens; nodes are named by their settings."""

JWKS = "/.well-known/jwks.json"
ACCESS = "/internal/access"
TEACHER = "/internal/teachers/{user_id}"
UPLOAD_RIGHTS = "/internal/upload-rights"
DELETIONS = "/internal/deletions"
EVENTS = "/internal/events"
CHANGES = "/internal/changes"
NODE_STATUS = "/internal/status"


class Jwks(Out):
    """The keys that verify access tokens, as RFC 7517 writes them."""

    keys: list[dict[str, str]]


# --- node -> VPS: may this user watch this video? ---------------------------------------------------


Via = Literal["key", "owner", "review", "preview"]


class AccessQuestion(Body):
    user_id: UUID
    video_id: UUID


class AccessAnswer(Out):
    """`version` is the newest change the answer is sure to reflect.

    `via` is how the right was come by; one via `preview` opens this video only, any other the whole course.
    """

    allowed: bool
    reason: Literal["granted", "key_required", "video_not_found", "user_inactive"]
    via: Via | None = None
    course_id: UUID | None = None
    teacher_username: str | None = None
    version: int


# --- node -> VPS: what may this teacher upload? -----------------------------------------------------

UploadRefusal = Literal["not_a_teacher", "not_enough_followers", "lesson_not_found", "lesson_has_video"]


class TeacherAnswer(Out):
    """A teacher's standing; for anyone else `is_teacher` is false. `courses` are those not deleted."""

    user_id: UUID
    username: str | None = None
    is_teacher: bool
    verified: bool
    followers: int
    required: int
    courses: list[UUID] = []
    version: int


class UploadQuestion(Body):
    user_id: UUID
    lesson_id: UUID


class UploadAnswer(Out):
    """Asked before every upload and never cached: a demotion must bite at once."""

    allowed: bool
    reason: UploadRefusal | None
    followers: int
    required: int
    course_id: UUID | None = None
    teacher_username: str | None = None
    version: int


# --- node -> VPS: a teacher wants something gone; the VPS decides and is first ------------------------


class DeletionQuestion(Body):
    """Exactly one of the two ids is given."""

    user_id: UUID
    video_id: UUID | None = None
    course_id: UUID | None = None

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.video_id is None) == (self.course_id is None):
            raise ValueError("exactly one of video_id and course_id is needed")
        return self


class DeletionAnswer(Out):
    """Agreed again for what the same teacher deleted before, so that a half-done deletion can be finished."""

    agreed: bool
    reason: Literal["not_found", "forbidden"] | None = None
    teacher_username: str | None = None
    version: int


# --- node -> VPS: something happened to a video ------------------------------------------------------


class VideoStored(Body):
    kind: Literal["video_stored"] = "video_stored"
    video_id: UUID
    lesson_id: UUID
    course_id: UUID
    owner_id: UUID
    size: int
    sha256: str
    media_type: str
    duration_s: float
    stored_at: Moment


class Event(Body):
    """One entry of a node's outbox; the same `id` is applied once however often it is sent."""

    id: UUID
    about: VideoStored


class EventAnswer(Out):
    """`applied` false means: the VPS will never want this video, the node should drop it."""

    applied: bool
    reason: str | None = None


# --- VPS -> node: what changed (answer to the node's pull) ---------------------------------------------


class Change(Out):
    """A change of a right, numbered without gaps in the order of commits."""

    number: int
    kind: str
    user_id: UUID | None = None
    course_id: UUID | None = None
    video_id: UUID | None = None


class Changes(Out):
    """`reset` true: the node's position is of no use (other epoch); drop the cache, go on from `head`."""

    epoch: UUID
    head: int
    reset: bool = False
    items: list[Change] = []


# --- VPS -> node: how are you? -------------------------------------------------------------------------


class NodeStatus(Out):
    node: str
    videos: int
    bytes_stored: int
    bytes_free: int
    grants: int
    outbox: int
    feed_position: int | None
    feed_age_s: float | None
