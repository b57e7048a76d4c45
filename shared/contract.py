"""Everything that crosses between the two services: each call's path, its body and its answer.

A node calls, the VPS answers, both signed (shared/service_tokens.py). A change here is one commit on both sides;
answers may gain fields, which an older reader passes over.
"""

import hashlib
from collections.abc import Iterable
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from shared.playbacks import PlaybacksLost, PlaybackTold
from shared.schemas import Body, Moment, Out, Seconds
from shared.settings import HttpUrl

VPS = "vps"
"""The VPS's name as issuer and audience of service tokens; nodes are named by their settings."""

JWKS = "/.well-known/jwks.json"
INTERNAL = "/internal"
ACCESS_KEYS = f"{INTERNAL}/access-keys"
ACCESS = f"{INTERNAL}/access"
STANDING = f"{INTERNAL}/standing"
UPLOAD_RIGHTS = f"{INTERNAL}/upload-rights"
DELETIONS = f"{INTERNAL}/deletions"
EVENTS = f"{INTERNAL}/events"
CHANGES = f"{INTERNAL}/changes"
REPORTS = f"{INTERNAL}/reports"
RECONCILE_COURSES = f"{INTERNAL}/reconcile/courses"
RECONCILE_VIDEOS = f"{INTERNAL}/reconcile/videos"
RECONCILE_GRANTS = f"{INTERNAL}/reconcile/grants"
RECONCILED = f"{INTERNAL}/reconcile/done"


Count = Annotated[int, Field(ge=0, lt=2**63, strict=True)]

VideoKind = Literal["course", "practice", "file"]
"""A lesson's video, a video of a user's own, or a lesson's file: kept and deleted like a video, but never played."""
VideoStatus = Literal["processing", "ready", "error"]
RenditionName = Literal["sd", "hd", "full_hd"]


class Jwks(Out):
    """The keys that verify access tokens, as RFC 7517 writes them."""

    keys: list[dict[str, str]]


class Position(Out):
    """A place in the changes feed: an answer as of it reflects every change up to `number` of this `epoch`."""

    epoch: UUID
    number: int


class Asker(Body):
    """On whose behalf a node asks, by the claims of their token: the VPS refuses one that was signed out since."""

    user_id: UUID
    generation: Count
    session_id: UUID | None = None  # a node or a token of an earlier release names none


# --- node -> VPS: may this user watch this video? ---------------------------------------------------


Via = Literal["key", "owner", "review", "preview", "shared", "public"]
OF_ONE_VIDEO: tuple[Via, ...] = ("preview", "shared", "public")
"""Rights to the video that was asked about; any other is to all that is kept with it."""


class AccessQuestion(Asker):
    video_id: UUID


class AccessAnswer(Out):
    """`via` is how the right was come by; one `OF_ONE_VIDEO` opens this video only, any other the whole course.

    Of a practice video `course_id` is its owner's id, and the whole course all of this owner's practice videos.
    `may_download`: the original too, to be kept.
    """

    allowed: bool
    reason: Literal["granted", "key_required", "video_not_found", "signed_out"]
    via: Via | None = None
    course_id: UUID | None = None
    teacher_username: str | None = None
    may_download: bool = False
    as_of: Position


# --- node -> VPS: what may this teacher upload? -----------------------------------------------------

UploadRefusal = Literal[
    "signed_out",
    "not_a_teacher",
    "not_enough_followers",
    "lesson_not_found",
    "lesson_has_video",
    "replacement_under_way",
]


class StandingQuestion(Asker):
    """What may this teacher upload?"""


class StandingAnswer(Out):
    """A teacher's standing; for anyone else `is_teacher` is false. `courses` are those not deleted."""

    user_id: UUID
    signed_out: bool = False
    username: str | None = None
    is_teacher: bool
    verified: bool
    followers: int
    required: int
    courses: list[UUID] = []
    as_of: Position


class UploadQuestion(Asker):
    """A video into a lesson (`replace`: in place of the one it has), a file beside it, or a practice video."""

    kind: VideoKind = "course"
    lesson_id: UUID | None = None
    replace: bool = False

    @model_validator(mode="after")
    def _names_a_lesson_if_there_is_one(self) -> Self:
        if (self.lesson_id is None) != (self.kind == "practice"):
            raise ValueError("a practice video has no lesson, anything else needs one")
        return self


class UploadAnswer(Out):
    """Asked before every upload and never cached: a demotion must bite at once.

    `replaces` is the lesson's present video, to be played until the new one is ready. Of a practice video
    `course_id` is its owner's id, `quota_bytes` what its owner may keep in all and `used_elsewhere_bytes` what
    other nodes hold of that.
    """

    allowed: bool
    reason: UploadRefusal | None
    followers: int
    required: int
    course_id: UUID | None = None
    teacher_username: str | None = None
    replaces: UUID | None = None
    lesson_title: str = ""
    quota_bytes: Count = 0
    used_elsewhere_bytes: Count = 0
    as_of: Position


# --- node -> VPS: a teacher wants something gone; the VPS decides and is first ------------------------


class DeletionQuestion(Asker):
    """Exactly one of the two ids is given. A lesson's file has a `video_id` too, and is no video: `is_file`."""

    video_id: UUID | None = None
    course_id: UUID | None = None
    is_file: bool | None = None
    """None of a node of an earlier release, which does not say."""

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.video_id is None) == (self.course_id is None):
            raise ValueError("exactly one of video_id and course_id is needed")
        return self


class DeletionAnswer(Out):
    """Agreed again for what the same teacher deleted before, so that a half-done deletion can be finished."""

    agreed: bool
    reason: Literal["not_found", "forbidden", "signed_out"] | None = None
    teacher_username: str | None = None
    as_of: Position


# --- node -> VPS: something happened to a video ------------------------------------------------------


class RenditionMade(Body):
    """Of a video: what a player may choose. `bitrate` in bits per second."""

    name: RenditionName
    width: Count
    height: Count
    size: Count
    bitrate: Count


class VideoStored(Body):
    """A video as its node has it now: told when it was stored, and again whenever its state changed.

    Of a practice video there is no lesson, and `course_id` is its owner's id. `title` is a practice video's title or
    a file's name. `reason` is why it could not be processed, for its owner to read. `replaces` is the video that
    plays in its lesson until this one is ready.
    """

    kind: Literal["video_stored"] = "video_stored"
    video_id: UUID
    video_kind: VideoKind = "course"
    title: str = ""
    lesson_id: UUID | None
    course_id: UUID
    owner_id: UUID
    size: Count
    sha256: str
    media_type: str
    duration_s: Seconds
    status: VideoStatus = "processing"
    reason: str = ""
    renditions: list[RenditionMade] = []
    replaces: UUID | None = None
    stored_at: Moment


About = Annotated[VideoStored | PlaybackTold | PlaybacksLost, Field(discriminator="kind")]


class Event(Body):
    """One entry of a node's outbox; the same `id`, or the same word of a playback, counts once however often sent."""

    id: UUID
    about: About


Verdict = Literal["applied", "unwanted", "unknown", "refused"]


class EventAnswer(Out):
    """What became of it.

    `unwanted`: the VPS has deleted this video or its course, the node should drop it. `unknown`: the VPS has no place
    for it, because it lost the course in a restore; the node keeps the video and sets the event aside, and the next
    comparing announces it again. `refused`: it came after another that was stored elsewhere at the same time. Both
    sides keep it, in error for this `reason`, until its owner deletes it; nothing more is made of it. Of a playback
    `unwanted` says that its viewer began to watch elsewhere: it is to end as `moved`.
    """

    verdict: Verdict
    reason: str = ""


# --- VPS -> node: what changed (answer to the node's pull) ---------------------------------------------


class Change(Out):
    """A change of a right, or the end of a session, or of a playback; numbered without gaps in the order of commits."""

    number: int
    kind: str
    user_id: UUID | None = None
    course_id: UUID | None = None
    video_id: UUID | None = None
    playback_id: UUID | None = None
    session_id: UUID | None = None


class Changes(Out):
    """`mark` belongs to the last number of `items`, or to `head` when there are none, and is sent back with it.

    It is random, so that a node and a database that was set back cannot both be right about a number. `reset` true:
    the node's position is of no use (other epoch, or trimmed); drop the cache, go on from `head`.
    """

    epoch: UUID
    head: int
    mark: UUID
    reset: bool = False
    items: list[Change] = []


# --- node -> VPS: how I am, and what the VPS would have me do ----------------------------------------------


class NodeReport(Body):
    """Sent every few seconds. `url` is where clients find the node; sizes in bytes, ages in seconds.

    `bytes_free` are those that another upload could be promised.
    """

    url: HttpUrl
    capacity_bytes: Count
    bytes_free: Count
    bytes_stored: Count
    videos: Count
    grants: Count
    outbox_depth: Count
    outbox_age_s: Seconds
    outbox_set_aside: Count
    feed_position: Count | None
    trust_age_s: Seconds | None
    clock_skew_s: Annotated[float, Field(allow_inf_nan=False)] | None


class NodeOrders(Out):
    """`reconcile` is the number of the newest wish to compare everything, 0 when none is left to be fulfilled."""

    reconcile: int


# --- node -> VPS: do we agree? -----------------------------------------------------------------------------


class CourseDigest(Body):
    """The videos of a course that a node holds: how many, and the SHA-256 over their ids, contents and states."""

    course_id: UUID
    videos: Count
    digest: str


class CoursesHeld(Body):
    """Every course of the node whose id is over `after` and not over `up_to`; either one None for no bound."""

    after: UUID | None = None
    up_to: UUID | None = None
    courses: list[CourseDigest]


class CoursesCompared(Out):
    """The courses about which the two do not agree, also those that only the VPS knows of."""

    differing: list[UUID]


class VideoHeld(Body):
    """`status` is None of a node of an earlier release, which knows of none."""

    video_id: UUID
    size: Count
    sha256: str
    status: VideoStatus | None = None


class VideosHeld(Body):
    course_id: UUID
    videos: list[VideoHeld]


class VideosCompared(Out):
    """What is to be done about the videos of one course.

    `unknown` were never announced, or not in the state they are in; `gone` are deleted, or never will be wanted;
    `missing` the VPS believes to be on this node, or to be of another content there: it shows them as missing.
    """

    unknown: list[UUID]
    gone: list[UUID]
    missing: list[UUID]


class GrantHeld(Body):
    user_id: UUID
    generation: Count
    course_id: UUID
    video_id: UUID | None
    via: Via


class GrantsHeld(Body):
    grants: list[GrantHeld]


class GrantsCompared(Out):
    """The places in the list of those that the VPS would not give now."""

    wrong: list[int]


class Reconciliation(Body):
    """What a node found and did when it compared itself with the VPS. `order` is the wish it fulfils, if any."""

    order: int = Field(ge=0, lt=2**31, strict=True)
    courses: Count
    videos: Count
    grants: Count
    differing_courses: Count
    announced: Count
    removed: Count
    missing: Count
    grants_ended: Count


class Received(Out):
    """Nothing more to say."""


def course_digest(videos: Iterable[tuple[UUID, str, VideoStatus]]) -> str:
    """Of the ids, SHA-256s and states of a course's videos, the same on both sides whatever their order."""
    lines = sorted(f"{video_id} {sha256} {status}\n" for video_id, sha256, status in videos)
    return hashlib.sha256("".join(lines).encode()).hexdigest()
