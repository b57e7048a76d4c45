from shared.problems import Conflict, NotFound


class TeacherNotFound(NotFound):
    code, title = "teacher_not_found", "There is no such teacher"


class CannotFollowOneself(Conflict):
    code, title = "cannot_follow_oneself", "You cannot follow yourself"
