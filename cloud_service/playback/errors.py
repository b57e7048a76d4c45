from math import ceil

from shared.problems import AppError, Conflict, Forbidden, NotFound, Unavailable


class PlaybackNotFound(NotFound):
    code, title = "playback_not_found", "There is no such playback"


class PlaybackExpired(AppError):
    status, code, title = 410, "playback_expired", "The link has expired; ask for a new playback"


class PlaybackMoved(AppError):
    status, code, title = 410, "playback_moved", "The same user began to watch elsewhere"


class TooManyPlaybacks(AppError):
    status, code, title = 429, "too_many_playbacks", "You began too many playbacks in too short a time"

    def __init__(self, retry_after_s: float) -> None:
        super().__init__(headers={"Retry-After": str(ceil(retry_after_s))})


class TooManyAnswers(AppError):
    status, code, title = 429, "too_many_answers", "Too much is being sent to the same viewer at once"

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class TooManyOpenFiles(Unavailable):
    code, title = "too_many_open_files", "The node cannot open one more file right now"


class NothingToPlay(Conflict):
    code, title = "nothing_to_play", "There is nothing of the video that browsers play"


class DownloadNotAllowed(Forbidden):
    code, title = "download_not_allowed", "Its owner does not let you keep this video"


class LinkNotFound(NotFound):
    code, title = "link_not_found", "The video has nothing of that name"
