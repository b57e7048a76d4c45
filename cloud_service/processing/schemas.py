from datetime import UTC, datetime

from cloud_service.processing.queue import Result, StepDone
from shared.contract import VideoStatus
from shared.schemas import Moment, Out


class StepOut(Out):
    """`seconds` it took, `speed` in seconds of video a second."""

    attempt: int
    name: str
    started_at: Moment
    seconds: float
    speed: float
    result: Result
    reason: str | None

    @classmethod
    def from_done(cls, done: StepDone) -> "StepOut":
        return cls(
            attempt=done.attempt,
            name=done.step,
            started_at=datetime.fromtimestamp(done.started_at, UTC),
            seconds=done.seconds,
            speed=done.speed,
            result=done.result,
            reason=done.reason or None,
        )


class ProcessingOut(Out):
    """`step` is what is being made now, with its `speed` in seconds of video a second; `steps` what was done so far."""

    status: VideoStatus
    reason: str | None
    percent_done: int
    attempt: int
    step: str | None
    speed: float
    steps: list[StepOut]
