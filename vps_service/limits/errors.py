from shared.problems import AppError


class TooManyRequests(AppError):
    status, code, title = 429, "too_many_requests", "That was tried too often; wait before you try again"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(headers={"Retry-After": str(retry_after_s)})
