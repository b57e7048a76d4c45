"""Which job a worker gets, how long it keeps it, and what comes after the last try, on the node's real SQLite."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_service.db import Database
from cloud_service.processing import queue
from cloud_service.processing.queue import ATTEMPTS, Job, Standing, StepDone
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import Rendition
from tests.cloud.running import a_video

pytestmark = pytest.mark.anyio

LONG_S, SHORT_S = 60.0, 0.05
DONE = StepDone(1, "poster", 1_700_000_000, 0.5, 2.0, "made")


async def add(database: Database, *jobs: tuple[str, str]) -> None:
    """Videos of owners, the first added first."""
    async with database.transaction() as transaction:
        rows = [(video, owner, number) for number, (video, owner) in enumerate(jobs)]
        await transaction.execute_many("INSERT INTO jobs (video_id, owner_id, added_at) VALUES (?, ?, ?)", rows)


async def take(database: Database, lease_s: float = LONG_S) -> Job | None:
    async with database.transaction() as transaction:
        return await queue.take(transaction, lease_s)


async def taken(database: Database, lease_s: float = LONG_S) -> Job:
    job = await take(database, lease_s)
    assert job is not None
    return job


async def keep(database: Database, job: Job, lease_s: float = LONG_S) -> bool:
    async with database.transaction() as transaction:
        return await queue.keep(transaction, job, Standing("sd", 40, 1.5, [DONE]), lease_s)


async def give_back(database: Database, job: Job, *, after_s: float = 0, counted: bool = True) -> None:
    async with database.transaction() as transaction:
        await queue.give_back(transaction, job, Standing(percent=40, log=[DONE]), after_s=after_s, counted=counted)


async def test_teachers_take_turns(database: Database) -> None:
    await add(database, ("a1", "ada"), ("a2", "ada"), ("a3", "ada"), ("b1", "bob"), ("c1", "cid"))
    assert [(await taken(database)).video_id for _ in range(5)] == ["a1", "b1", "c1", "a2", "a3"]


async def test_whoever_had_a_turn_long_ago_comes_before_whoever_just_had_one(database: Database) -> None:
    await add(database, ("a1", "ada"), ("b1", "bob"))
    for _ in range(2):
        job = await taken(database)
        async with database.transaction() as transaction:
            await queue.end(transaction, job, Standing())
    await add(database, ("b2", "bob"), ("a2", "ada"))
    assert (await taken(database)).owner_id == "ada"


async def test_what_was_here_before_there_were_workers_comes_last(database: Database) -> None:
    await add(database, ("a1", "ada"), ("b1", "bob"), ("a2", "ada"))
    async with database.transaction() as transaction:
        await transaction.execute("UPDATE jobs SET is_old = 1 WHERE video_id != 'a2'")
    assert (await taken(database)).video_id == "a2"
    async with database.transaction() as transaction:
        assert not await queue.is_new_waiting(transaction)  # what is under way gives way to none of them
    assert [(await taken(database)).video_id for _ in range(2)] == ["b1", "a1"]


async def test_a_job_that_is_taken_is_nobody_elses(database: Database) -> None:
    await add(database, ("a1", "ada"))
    job = await taken(database)
    assert not await queue.is_waiting(database)
    assert await take(database) is None
    assert await keep(database, job)


async def test_many_workers_at_once_each_get_another_job(database: Database, path: Path) -> None:
    await add(database, *((f"v{number}", f"owner {number % 3}") for number in range(12)))
    workers = [await Database.join(path) for _ in range(4)]
    try:
        found = await asyncio.gather(*(take(worker) for worker in workers for _ in range(4)))
    finally:
        for worker in workers:
            await worker.close()
    jobs = [job.video_id for job in found if job]
    assert len(jobs) == len(set(jobs)) == 12


async def test_a_lease_that_ran_out_is_anothers_and_counts_as_a_try(database: Database) -> None:
    await add(database, ("a1", "ada"))
    dead = await taken(database, SHORT_S)
    await asyncio.sleep(2 * SHORT_S)
    assert await queue.is_waiting(database)
    next_one = await taken(database)
    assert (dead.attempt, next_one.attempt) == (1, 2)
    assert not await keep(database, dead)
    assert await keep(database, next_one)


async def test_a_lease_that_is_kept_does_not_run_out(database: Database) -> None:
    await add(database, ("a1", "ada"))
    job = await taken(database, SHORT_S)
    assert await keep(database, job)
    await asyncio.sleep(2 * SHORT_S)
    assert await take(database) is None


async def test_after_the_machine_was_started_again_every_job_is_free(database: Database) -> None:
    await add(database, ("a1", "ada"))
    await taken(database)
    async with database.transaction() as transaction:
        await transaction.execute("UPDATE jobs SET boot = 'another', not_before = 1e9")
    assert await taken(database)


async def test_a_power_cut_is_no_try(database: Database) -> None:
    await add(database, ("a1", "ada"))
    for _ in range(2 * ATTEMPTS):
        assert (await taken(database)).attempt == 1
        async with database.transaction() as transaction:
            await transaction.execute("UPDATE jobs SET boot = 'another'")


async def test_what_does_not_play_yet_comes_before_better_renditions(database: Database) -> None:
    await add(database, ("a1", "ada"), ("b1", "bob"), ("a2", "ada"))
    video = replace(a_video(1), id="b1", renditions=(Rendition("sd", 854, 480, 25.0, 4, 10**6, "avc1.64001e"),))
    async with database.transaction() as transaction:
        await Catalogue(database).add(transaction, video)
    assert [(await taken(database)).video_id for _ in range(2)] == ["a1", "a2"]
    async with database.transaction() as transaction:
        assert not await queue.is_new_waiting(transaction)
    assert (await taken(database)).video_id == "b1"


async def test_what_is_tried_again_begins_from_the_first_try(database: Database) -> None:
    video = a_video(1)
    await add(database, (video.id, video.owner_id))
    await give_back(database, await taken(database), after_s=60)
    async with database.transaction() as transaction:
        await queue.enqueue_again(transaction, video)
    assert (await taken(database)).attempt == 1


async def test_after_three_deaths_it_is_tried_once_more_and_then_no_more(database: Database) -> None:
    await add(database, ("a1", "ada"))
    for _ in range(ATTEMPTS):
        job = await taken(database, SHORT_S)
        assert job.attempt <= ATTEMPTS
        await asyncio.sleep(2 * SHORT_S)
    assert job.is_last
    assert (await taken(database)).attempt > ATTEMPTS


async def test_what_is_given_back_waits_and_lets_others_by(database: Database) -> None:
    await add(database, ("a1", "ada"), ("b1", "bob"))
    await give_back(database, await taken(database), after_s=60)
    assert (await taken(database)).video_id == "b1"
    assert await take(database) is None


async def test_what_was_not_the_videos_fault_is_no_try(database: Database) -> None:
    await add(database, ("a1", "ada"))
    for _ in range(2 * ATTEMPTS):
        job = await taken(database)
        assert job.attempt == 1
        await give_back(database, job, counted=False)
    await give_back(database, await taken(database))
    assert (await taken(database)).attempt == 2


async def test_nobody_gives_back_what_is_anothers_by_now(database: Database) -> None:
    await add(database, ("a1", "ada"))
    dead = await taken(database, SHORT_S)
    await asyncio.sleep(2 * SHORT_S)
    living = await taken(database)
    await give_back(database, dead)
    assert await keep(database, living)


async def test_what_earlier_attempts_did_is_still_known(database: Database) -> None:
    await add(database, ("a1", "ada"))
    before = await taken(database)
    assert await keep(database, before)
    await give_back(database, before)
    job = await taken(database)
    async with database.transaction() as transaction:
        assert await queue.standing_before(transaction, job) == Standing(percent=40, log=[DONE])


async def test_the_workload_tells_what_waits_and_what_runs(database: Database) -> None:
    await add(database, ("a1", "ada"), ("b1", "bob"), ("c1", "cid"))
    await taken(database)
    await taken(database, SHORT_S)
    await asyncio.sleep(2 * SHORT_S)
    load = await queue.workload(database)
    assert (load.waiting, load.running, load.failed) == (2, 1, 0)
    assert load.oldest_s > 1e9
