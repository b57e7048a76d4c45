from shared.problems import Conflict, NotFound


class KeyNotFound(NotFound):
    code, title = "key_not_found", "You hold no key to this course"


class NoSuchKey(NotFound):
    code, title = "no_such_key", "There is no such key"


class KeyWasPaid(Conflict):
    code, title = "key_was_paid", "This key was paid for; refund its payment instead"


class CourseNotFree(Conflict):
    code, title = "course_not_free", "This course is not free"


class AlreadyOwned(Conflict):
    code, title = "already_owned", "You hold a key to this course already"


class OwnCourse(Conflict):
    code, title = "own_course", "A teacher needs no key to their own course"
