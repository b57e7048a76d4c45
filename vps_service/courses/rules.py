"""Who may watch, as the VPS decides it: the one place where this rule is written."""

from dataclasses import dataclass
from typing import Literal

from vps_service.accounts.models import User
from vps_service.courses.models import Course, Lesson

Via = Literal["key", "owner", "review", "preview"]


@dataclass(frozen=True)
class Watching:
    """How the right was come by, or None when there is none."""

    via: Via | None

    def __bool__(self) -> bool:
        return self.via is not None


NO = Watching(None)


def may_watch(viewer: User | None, course: Course, lesson: Lesson, *, holds_key: bool) -> Watching:
    """A deleted course plays for nobody. The owner and admins see it in any state, key holders for good.

    A preview is open to anyone signed in, once the course is published.
    """
    if viewer is None or not viewer.is_active or course.is_deleted:
        return NO
    if viewer.id == course.teacher_id:
        return Watching("owner")
    if viewer.has_role("admin"):
        return Watching("review")
    if holds_key:
        return Watching("key")
    if lesson.is_preview and course.is_public:
        return Watching("preview")
    return NO


def may_see(viewer: User | None, course: Course) -> bool:
    """Published courses are for everyone; any other state only for its teacher and for admins."""
    if course.is_deleted:
        return False
    if course.is_public:
        return True
    return viewer is not None and (viewer.id == course.teacher_id or viewer.has_role("admin"))
