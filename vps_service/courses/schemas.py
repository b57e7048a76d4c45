from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.contract import RenditionName, VideoStatus
from shared.schemas import Body, Moment, Money, Out, Patch

Title = Annotated[str, Field(min_length=1, max_length=200)]
Description = Annotated[str, Field(max_length=20_000)]
Status = Literal["draft", "pending", "published", "rejected", "archived"]


class Price(Money):
    """Minor units of the platform's currency; 0 is a free course."""

    amount: Annotated[int, Field(ge=0, le=1_000_000_000)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]


class CourseDraft(Body):
    title: Title
    description: Description = ""
    price: Price


class CoursePatch(Patch):
    """`downloads_allowed`: who holds a key may download the videos as they were uploaded."""

    title: Title | None = None
    description: Description | None = None
    price: Price | None = None
    downloads_allowed: bool | None = None


class SectionDraft(Body):
    title: Title


class LessonDraft(Body):
    title: Title
    kind: Literal["video"] = "video"
    is_preview: bool = False


class LessonPatch(Patch):
    title: Title | None = None
    is_preview: bool | None = None


class Rejection(Body):
    reason: Annotated[str, Field(min_length=1, max_length=2000)]


class TeacherCard(Out):
    username: str
    name: str


class SectionOut(Out):
    id: UUID
    title: str
    position: int


class LessonOut(Out):
    id: UUID
    section_id: UUID
    kind: str
    title: str
    position: int
    is_preview: bool


class RenditionOut(Out):
    """What a player may choose; `size` in bytes, `bitrate` in bits per second."""

    name: RenditionName
    width: int
    height: int
    size: int
    bitrate: int


class VideoOut(Out):
    """`reason` says why it could not be processed; `uri` is where it streams from, null while its node is unknown.

    `views` are the playbacks of it so far of which anything was seen.
    """

    id: UUID
    status: VideoStatus
    reason: str
    duration_s: float
    renditions: list[RenditionOut]
    uri: str | None
    views: int


class PracticeVideoOut(VideoOut):
    title: str
    media_type: str
    size: int
    created_at: Moment


class LessonFile(Out):
    """`id` and `uri` null for whoever may not open the lesson."""

    id: UUID | None
    title: str
    media_type: str
    size: int
    uri: str | None


class LessonInCourse(LessonOut):
    """`can_open`: whether this caller may watch it now; `video_id` and `uri` are null for whoever may not.

    They and the rest of the video are null or empty until one is uploaded. `reason` says to its teacher why it could
    not be processed; `replacement`, to them too, what is to take the video's place once it is ready. `views` of the
    video are for its teacher and admins, null for anybody else; `poster_url` is for everybody, as the course's is.
    """

    can_open: bool
    video_id: UUID | None
    uri: str | None
    poster_url: str | None
    status: VideoStatus | None
    reason: str
    duration_s: float | None
    renditions: list[RenditionOut]
    views: int | None
    replacement: VideoOut | None
    files: list[LessonFile]


class SectionInCourse(SectionOut):
    lessons: list[LessonInCourse]


class CourseOut(Out):
    id: UUID
    title: str
    description: str
    price: Money
    status: Status
    downloads_allowed: bool
    teacher: TeacherCard
    created_at: Moment


class ListedCourse(CourseOut):
    """`poster_url` is a picture of its first video, for everybody: null until there is one and it is published."""

    poster_url: str | None


class OwnCourseOut(CourseOut):
    """The teacher's and the admin's view."""

    rejection_reason: str | None


class CourseDetail(ListedCourse):
    sections: list[SectionInCourse]


class VideoLink(Out):
    """Where a key holder streams a lesson's video, on the Cloud node that holds it."""

    lesson_id: UUID
    title: str
    node: str
    uri: str
