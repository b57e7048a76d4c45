"""What the tests of a node's parts are about: a viewer, a video, rights to it, changes of them."""

from typing import Any
from uuid import UUID, uuid4

from cloud_service.access.models import ANY, Grant, Scope, Viewer
from cloud_service.videos.models import StoredVideo
from shared.contract import OF_ONE_VIDEO, AccessAnswer, Change, Position, StandingAnswer, UploadAnswer, Via

USER, TEACHER, COURSE, VIDEO, EPOCH, MARK = (uuid4() for _ in range(6))


def position(number: int, epoch: UUID = EPOCH) -> Position:
    return Position(epoch=epoch, number=number)


def viewer(user: UUID = USER, generation: int = 0) -> Viewer:
    return Viewer(str(user), generation, 2**40)


def video(course: UUID = COURSE, video_id: UUID = VIDEO, owner: UUID = TEACHER) -> StoredVideo:
    return StoredVideo(
        id=str(video_id),
        lesson_id=str(video_id),
        course_id=str(course),
        owner_id=str(owner),
        teacher_username="omar",
        size=5,
        sha256="ab" * 32,
        media_type="video/mp4",
        duration_s=1.0,
        width=160,
        height=90,
        stored_at=0,
    )


def grant(
    version: int = 1,
    user: UUID = USER,
    via: Via = "key",
    course: UUID = COURSE,
    generation: int = 0,
    video_id: UUID = VIDEO,
) -> Grant:
    place = str(video_id) if via in OF_ONE_VIDEO else ANY
    return Grant(Scope(str(user), str(course), place), "omar", via, version, generation)


def may_upload(number: int = 5, **more: Any) -> UploadAnswer:
    answer = {"followers": 3, "required": 3, "course_id": COURSE, "teacher_username": "omar", **more}
    return UploadAnswer(allowed=True, reason=None, as_of=position(number), **answer)


def allowed(number: int = 1, via: Via = "key", course: UUID = COURSE, epoch: UUID = EPOCH) -> AccessAnswer:
    return AccessAnswer(
        allowed=True,
        reason="granted",
        via=via,
        course_id=course,
        teacher_username="omar",
        as_of=position(number, epoch),
    )


def denied(number: int = 1, reason: Any = "key_required", epoch: UUID = EPOCH) -> AccessAnswer:
    return AccessAnswer(allowed=False, reason=reason, as_of=position(number, epoch))


def standing(number: int = 1, courses: tuple[UUID, ...] = (COURSE,), **changes: Any) -> StandingAnswer:
    values: dict[str, Any] = {
        "user_id": TEACHER,
        "username": "omar",
        "is_teacher": True,
        "verified": True,
        "followers": 3,
        "required": 3,
        "courses": list(courses),
        "as_of": position(number),
    }
    return StandingAnswer.model_validate(values | changes)


def change(number: int, kind: str = "course_deleted", **about: UUID) -> Change:
    named = {f"{name}_id": some_id for name, some_id in about.items()}
    return Change.model_validate({"number": number, "kind": kind, **named})
