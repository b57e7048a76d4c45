from shared.problems import NotFound


class PosterNotFound(NotFound):
    """One answer for all that is not shown, whatever the reason."""

    code, title = "poster_not_found", "There is no such poster"

    def __init__(self) -> None:
        super().__init__(headers={"Cache-Control": "no-store"})
