"""What a node tells the VPS of playbacks, as part of the contract between them (shared/contract.py)."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from shared.intervals import MOST_STRETCHES
from shared.schemas import Body, Moment, Seconds

PlaybackEnd = Literal["expired", "moved", "video_gone", "signed_out", "lost"]


class PlaybackTold(Body):
    """A playback as its node has it now: told when it began, when it counts as a view, while it goes on, at its end.

    `viewed_at` is when the first bytes of moving picture were sent, `ends_at` when its links end at the latest.
    `watched` are the stretches of the video that were sent so far, in its own seconds, in order and apart. What was
    told is only ever added to, so that it does not matter how often and in which order it comes.
    """

    kind: Literal["playback_told"] = "playback_told"
    playback_id: UUID
    video_id: UUID
    user_id: UUID
    began_at: Moment
    ends_at: Moment
    viewed_at: Moment | None = None
    used_at: Moment | None = None
    watched: Annotated[list[tuple[Seconds, Seconds]], Field(max_length=MOST_STRETCHES)] = []
    ended_at: Moment | None = None
    end: PlaybackEnd | None = None


class PlaybacksLost(Body):
    """The node has lost its database: of the playbacks that began there before, none goes on."""

    kind: Literal["playbacks_lost"] = "playbacks_lost"
    lost_at: Moment
