"""Who may watch, see and upload, as the VPS decides it: the one place where these rules are written."""

from shared.contract import UploadRefusal, Via
from vps_service.accounts.models import User
from vps_service.courses.models import Course, Lesson, Video
from vps_service.followers.models import Teacher


def may_watch(viewer: User | None, course: Course, lesson: Lesson, *, holds_key: bool) -> Via | None:
    """How the right was come by, or None when there is none.

    A deleted course plays for nobody. The owner and admins see it in any state, key holders for good; a preview is
    open to anyone signed in, once the course is published.
    """
    if via := may_watch_all(viewer, course, holds_key=holds_key):
        return via
    if viewer is not None and viewer.is_active and lesson.is_preview and course.is_public:
        return "preview"
    return None


def may_watch_all(viewer: User | None, course: Course, *, holds_key: bool) -> Via | None:
    """The same for every lesson of the course, so without previews."""
    if viewer is None or not viewer.is_active or course.is_deleted:
        return None
    if viewer.id == course.teacher_id:
        return "owner"
    if viewer.has_role("admin"):
        return "review"
    return "key" if holds_key else None


def may_watch_practice(viewer: User | None, owner: User, video: Video | None, *, is_shared: bool) -> Via | None:
    """A practice video of this owner, or None for any of them.

    Admins may look into it. Unless its owner was banned, it plays for those whom it is shared with, and once it is
    public for anyone signed in.
    """
    if viewer is None or not viewer.is_active:
        return None
    if viewer.id == owner.id:
        return "owner"
    if viewer.has_role("admin"):
        return "review"
    if video is None or not owner.is_active:
        return None
    if is_shared:
        return "shared"
    return "public" if video.is_public else None


def may_download(via: Via | None, course: Course | None) -> bool:
    """The original, to be kept. `course` is None for a practice video, which only its owner takes away."""
    if course is None:
        return via == "owner"
    return via in ("owner", "review") or (via == "key" and course.downloads_allowed)


def is_hidden(viewer: User, video: Video, course: Course | None, via: Via | None) -> bool:
    """What is to take another's place is known to its owner and to admins.

    Of practice videos, and of a course that this viewer may not see, whoever may not watch does not learn that there
    is something to watch: nor somebody who had a key to a course that is not for sale any more.
    """
    if via is None and (course is None or not may_see(viewer, course)):
        return True
    return video.replaces_id is not None and via not in ("owner", "review")


def shows_posters(course: Course | None) -> bool:
    """Whether anybody at all may see the posters of its lessons' videos: of what is for sale, previews or not."""
    return course is not None and course.is_public


def may_upload(teacher: Teacher | None, course: Course | None) -> UploadRefusal | None:
    """What forbids this teacher to upload into lessons of this course, or None when nothing does."""
    if teacher is None:
        return "not_a_teacher"
    if course is None or course.is_deleted or course.teacher_id != teacher.user_id:
        return "lesson_not_found"
    return None if teacher.is_verified else "not_enough_followers"


def takes_video(current: Video | None, replacement: Video | None, *, replace: bool) -> UploadRefusal | None:
    """What forbids one more video in a lesson with these. A replacement that failed makes room for the next try."""
    if current is None:
        return None
    if not replace:
        return "lesson_has_video"
    return "replacement_under_way" if replacement and replacement.status != "error" else None


def may_see(viewer: User | None, course: Course) -> bool:
    """Published courses are for everyone; any other state only for its teacher and for admins."""
    if course.is_deleted:
        return False
    if course.is_public:
        return True
    return viewer is not None and (viewer.id == course.teacher_id or viewer.has_role("admin"))
