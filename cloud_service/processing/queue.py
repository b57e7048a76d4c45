"""What the workers have to do: one row a video, in the node's SQLite.

A worker takes a row by writing its lease there, and keeps it by saying every second that it is still at it. Times
are in seconds of the machine's uptime, and count as long as it runs (`boot`); after a restart every row is free.
"""

import json
import time
from dataclasses import asdict, dataclass, field
from typing import Literal
from uuid import uuid4

from cloud_service.clock import boot, uptime
from cloud_service.db import Database, Transaction
from cloud_service.videos.models import StoredVideo

ATTEMPTS = 4
"""The first, and three more. One whose worker died counts too: it may have died of the video. A power cut does not."""
FREE = "(boot != :boot OR (leased_until <= :now AND not_before <= :now))"
IS_NEW = "NOT is_old AND NOT EXISTS (SELECT 1 FROM videos WHERE id = jobs.video_id AND renditions != '[]')"
"""Nothing that plays was made of it yet."""


@dataclass(frozen=True, slots=True)
class Job:
    """One attempt at a video; `lease` is this attempt's alone."""

    video_id: str
    owner_id: str
    attempt: int
    lease: str

    @property
    def is_last(self) -> bool:
        return self.attempt >= ATTEMPTS


Result = Literal["made", "was_there", "failed", "stopped"]


@dataclass(frozen=True, slots=True)
class StepDone:
    """`started_at` in Unix seconds, `speed` in seconds of video a second."""

    attempt: int
    step: str
    started_at: int
    seconds: float
    speed: float
    result: Result
    reason: str = ""


@dataclass(slots=True)
class Standing:
    """How far an attempt has come, for people to see."""

    step: str = ""
    percent: int = 0
    speed: float = 0.0
    log: list[StepDone] = field(default_factory=list)

    def stopped_for(self, reason: str) -> int:
        """How often."""
        return sum(done.result == "stopped" and done.reason == reason for done in self.log)

    def log_json(self) -> str:
        return json.dumps([asdict(done) for done in self.log])


@dataclass(frozen=True, slots=True)
class Workload:
    """`oldest_s` is how long the oldest that waits has done so; `failed` are videos that could not be processed."""

    waiting: int
    running: int
    oldest_s: float
    failed: int


async def enqueue(transaction: Transaction, video: StoredVideo) -> None:
    """Once; a video that waits already keeps its place."""
    await transaction.execute(
        "INSERT OR IGNORE INTO jobs (video_id, owner_id, added_at) VALUES (?, ?, ?)",
        (video.id, video.owner_id, video.stored_at),
    )


async def enqueue_again(transaction: Transaction, video: StoredVideo) -> None:
    """As if it had never been tried, and at once."""
    await enqueue(transaction, video)
    await transaction.execute("UPDATE jobs SET attempts = 0, not_before = 0 WHERE video_id = ?", (video.id,))


async def enqueue_missing(transaction: Transaction) -> None:
    """Every video that nobody has processed, and that is not waiting: rows were made anew from the disk."""
    await transaction.execute(
        "INSERT OR IGNORE INTO jobs (video_id, owner_id, added_at)"
        " SELECT id, owner_id, stored_at FROM videos WHERE status = 'processing'"
    )


async def dequeue(transaction: Transaction, video_id: str) -> None:
    """The video is deleted. Whoever is at it finds that out within seconds, and stops."""
    for table in ("jobs", "processed", "news"):
        await transaction.execute(f"DELETE FROM {table} WHERE video_id = ?", (video_id,))  # noqa: S608


async def percent_done(database: Database, video: StoredVideo) -> int:
    """Of its processing; 100 for one that nothing more is made of."""
    if video.status != "processing":
        return 100
    rows = await database.fetch("SELECT percent FROM jobs WHERE video_id = ?", (video.id,))
    return int(rows[0]["percent"]) if rows else 0


async def standing_of(database: Database, video: StoredVideo) -> tuple[int, Standing]:
    """Which attempt it is at, or was at its end, and how far that came."""
    rows = await database.fetch("SELECT attempts, step, percent, speed, log FROM jobs WHERE video_id = ?", (video.id,))
    if rows:
        (row,) = rows
        return row["attempts"], Standing(row["step"], row["percent"], row["speed"], _log_from(row["log"]))
    ended = await database.fetch("SELECT log FROM processed WHERE video_id = ?", (video.id,))
    steps = _log_from(ended[0]["log"]) if ended else []
    return max((done.attempt for done in steps), default=0), Standing(percent=100, log=steps)


def _log_from(text: str) -> list[StepDone]:
    return [StepDone(**done) for done in json.loads(text)]


async def workload(database: Database) -> Workload:
    now = {"now": uptime(), "boot": boot()}
    is_running = "boot = :boot AND leased_until > :now"
    counted = f"SELECT count(*) FILTER (WHERE {is_running}) AS running, count(*) AS all_jobs FROM jobs"  # noqa: S608
    (row,) = await database.fetch(counted, now)
    oldest = f"SELECT min(added_at) AS at FROM jobs WHERE NOT ({is_running})"  # noqa: S608
    (since,) = await database.fetch(oldest, now)
    (failed,) = await database.fetch("SELECT count(*) AS videos FROM videos WHERE status = 'error'")
    age_s = max(0.0, time.time() - since["at"]) if since["at"] else 0.0
    return Workload(row["all_jobs"] - row["running"], row["running"], age_s, failed["videos"])


# --- for workers ------------------------------------------------------------------------------------


async def is_waiting(database: Database) -> bool:
    """Whether there is a job to be taken."""
    free = f"SELECT 1 FROM jobs WHERE {FREE} LIMIT 1"  # noqa: S608
    return bool(await database.fetch(free, {"now": uptime(), "boot": boot()}))


async def is_new_waiting(transaction: Transaction) -> bool:
    """Whether there is one to be taken of a video that nothing which plays was made of."""
    free = f"SELECT 1 FROM jobs WHERE {FREE} AND {IS_NEW} LIMIT 1"  # noqa: S608
    return bool(await transaction.fetch(free, {"now": uptime(), "boot": boot()}))


async def take(transaction: Transaction, lease_s: float) -> Job | None:
    """The next: one that nothing was made of comes first, then the owner who has waited longest for a turn.

    One that has been tried too often is handed out too.
    """
    lease = uuid4().hex
    asked = {"now": uptime(), "boot": boot(), "lease": lease, "until": uptime() + lease_s}
    rows = await transaction.fetch(
        "UPDATE jobs SET lease = :lease, leased_until = :until, boot = :boot, not_before = 0,"  # noqa: S608
        " attempts = attempts + (lease IS NULL OR boot = :boot), step = '', speed = 0 WHERE video_id = ("
        f" SELECT video_id FROM jobs LEFT JOIN turns USING (owner_id) WHERE {FREE}"
        f" ORDER BY {IS_NEW} DESC, is_old, coalesce(turns.number, 0), added_at, video_id LIMIT 1)"
        " RETURNING video_id, owner_id, attempts",
        asked,
    )
    if not rows:
        return None
    (row,) = rows
    await transaction.execute(
        "INSERT OR REPLACE INTO turns (owner_id, number) SELECT ?, coalesce(max(number), 0) + 1 FROM turns",
        (row["owner_id"],),
    )
    return Job(row["video_id"], row["owner_id"], row["attempts"], lease)


async def standing_before(transaction: Transaction, job: Job) -> Standing:
    """How far earlier attempts came, and what they did."""
    (row,) = await transaction.fetch("SELECT percent, log FROM jobs WHERE video_id = ?", (job.video_id,))
    return Standing(percent=row["percent"], log=_log_from(row["log"]))


async def keep(transaction: Transaction, job: Job, standing: Standing, lease_s: float) -> bool:
    """The lease goes on; False when it is another's by now, or the video is deleted."""
    told = (uptime() + lease_s, standing.step, standing.percent, standing.speed, standing.log_json())
    return bool(
        await transaction.execute(
            "UPDATE jobs SET leased_until = ?, step = ?, percent = ?, speed = ?, log = ?"
            " WHERE video_id = ? AND lease = ?",
            (*told, job.video_id, job.lease),
        )
    )


async def is_held(transaction: Transaction, job: Job) -> bool:
    """Whether the job is still this attempt's."""
    return bool(
        await transaction.fetch("SELECT 1 FROM jobs WHERE video_id = ? AND lease = ?", (job.video_id, job.lease))
    )


async def give_back(
    transaction: Transaction, job: Job, standing: Standing, *, after_s: float = 0, counted: bool = True
) -> None:
    """For whoever is next, after a pause. Not `counted`, it is as if it had not been tried."""
    await transaction.execute(
        "UPDATE jobs SET lease = NULL, leased_until = 0, not_before = ?, attempts = attempts - ?, step = ?, speed = 0,"
        " percent = ?, log = ? WHERE video_id = ? AND lease = ?",
        (
            *(uptime() + after_s, 0 if counted else 1, standing.step, standing.percent, standing.log_json()),
            *(job.video_id, job.lease),
        ),
    )


async def end(transaction: Transaction, job: Job, standing: Standing) -> None:
    """Done, for good or ill; what was done about it can still be read."""
    await transaction.execute("DELETE FROM jobs WHERE video_id = ? AND lease = ?", (job.video_id, job.lease))
    await transaction.execute(
        "INSERT OR REPLACE INTO processed (video_id, log) VALUES (?, ?)", (job.video_id, standing.log_json())
    )
