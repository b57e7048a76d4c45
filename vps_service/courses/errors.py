from shared.problems import Conflict, NotFound


class CourseNotFound(NotFound):
    code, title = "course_not_found", "There is no such course"


class SectionNotFound(NotFound):
    code, title = "section_not_found", "There is no such section"


class LessonNotFound(NotFound):
    code, title = "lesson_not_found", "There is no such lesson"


class VideoNotFound(NotFound):
    code, title = "video_not_found", "There is no such video"


class WrongStatus(Conflict):
    code, title = "wrong_status", "The course is not in a state for that"


class NothingToPublish(Conflict):
    code, title = "nothing_to_publish", "A course needs at least one lesson"
