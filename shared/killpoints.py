"""Named places at which a test may have the process die, as by a power cut: `TOPTANK_KILL_AT=feed.applied:3`.

The process kills itself (SIGKILL) when it comes to that place for the third time. Unset, a place costs one look at
a constant; production refuses to start with it set.
"""

import os
import signal

SETTING = "TOPTANK_KILL_AT"

POINTS = (
    # cloud
    "upload.received",
    "upload.synced",
    "upload.renamed",
    "upload.committed",
    "tus.created",
    "tus.appended",
    "tus.completing",
    "tus.part_gone",
    "captions.moved",
    "captions.removed",
    "outbox.answered",
    "feed.pulled",
    "feed.half_applied",
    "feed.applied",
    "feed.reset",
    "access.answered",
    "access.remembered",
    "deletion.agreed",
    "deletion.row_gone",
    "reconcile.compared",
    "database.set_aside",
    "playback_secret.replaced",
    "playback.begun",
    "playback.viewed",
    "playback.kept",
    "playback.ended",
    "processing.row_kept",
    "processing.moved",
    "processing.ended",
    # vps
    "event.before_commit",
    "deletion.before_commit",
    "request.committed",
    "payment.before_commit",
    "payment.after_commit",
    "refund.after_provider",
    "refund.after_commit",
    "webhook.before_answer",
    "leaving.closed",
    "leaving.video_deleted",
    "leaving.image_gone",
    "leaving.forgotten",
)
"""Every place there is; the fault tests run each."""


def _chosen() -> tuple[str, int]:
    """Raises ValueError for a name that is none of POINTS."""
    name, _, times = os.environ.get(SETTING, "").partition(":")
    if name and name not in POINTS:
        raise ValueError(f"{SETTING} names no kill point: {name}")
    return name, int(times or 1)


_NAME, _times_left = _chosen()


def killpoint(name: str) -> None:
    """Die here if a test wants that."""
    if name == _NAME:
        _die_or_count()


def _die_or_count() -> None:
    global _times_left
    _times_left -= 1
    if _times_left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
