"""What must hold after every case, whatever was broken in it: A1 to A7.

A1 every acknowledged write exists; A2 files and rows match one to one, nothing is half done, and both sides say the
same of every video; A3 paid is exactly one live key, refunded none; A4 what nodes remember is what the VPS would say;
A5 no ffmpeg runs without a job; A6 outboxes drain, and views are known; A7 new work is accepted.
"""

import hashlib
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.both.people import done, make_student
from tests.both.toptank import Node, eventually, patience, settled
from tests.faults.acts import Cast, buy
from tests.faults.world import World

WORKS_WITHIN_S = 10.0


def audit(world: World, cast: Cast) -> None:
    """Of a world in which everything runs and everything passes."""
    new_work_is_accepted(world, cast)
    for node in world.nodes:
        outbox_drains(world, node)
        feed_is_at_the_head(world, node)
    acknowledged_writes_exist(world)
    paid_is_one_live_key(world)
    settled(lambda: files_and_rows_match(world))
    for node in world.nodes:
        settled(lambda node=node: remembered_rights_are_true(world, node))  # type: ignore[misc]
        settled(lambda node=node: ffmpeg_has_a_job(node))  # type: ignore[misc]
        settled(lambda node=node: views_are_told(world, node))  # type: ignore[misc]


# --- A1 -----------------------------------------------------------------------------------------------


def acknowledged_writes_exist(world: World) -> None:
    ledger = world.ledger
    statuses = dict(world.sql("SELECT id::text, status FROM payments"))
    for payment in (ledger.paid | ledger.refunded) - ledger.doubted:
        assert statuses.get(payment) == ("refunded" if payment in ledger.refunded else "paid"), payment
    states = dict(world.sql("SELECT id::text, state FROM users"))
    for user, state in ledger.states.items():
        assert user in ledger.doubted or states[user] == state, user
    videos = {row[0]: row[1:] for row in world.sql("SELECT id::text, sha256, course_id::text, deleted_at FROM videos")}
    gone = {row[0] for row in world.sql("SELECT id::text FROM courses WHERE deleted_at IS NOT NULL")}
    for video, sha256 in ledger.stored.items():
        assert video in videos or video in ledger.deleted, f"the VPS does not know of {video}"
        if video in videos:
            stored, course, deleted_at = videos[video]
            assert stored == sha256
            is_gone = deleted_at is not None or course in gone
            assert not is_gone or {video, course} & (ledger.deleted | ledger.doubted), f"{video} was never deleted"
    for what in ledger.deleted - ledger.doubted:
        assert what in gone or what not in videos or videos[what][2] is not None, f"{what} lives on"


# --- A2 -----------------------------------------------------------------------------------------------


def files_and_rows_match(world: World) -> None:
    """On each node, and between the nodes and the VPS; every file is the one that was uploaded."""
    wanted = (
        "SELECT v.id::text, v.node_id, v.sha256, v.kind, v.status FROM videos v LEFT JOIN courses c"
        " ON c.id = v.course_id WHERE v.deleted_at IS NULL AND c.deleted_at IS NULL AND v.missing_since IS NULL"
    )
    held: set[tuple[str, ...]] = set()
    for node in world.nodes:
        node.check_nothing_left_over()
        states = {video: state for video, *state in node.sql("SELECT id, kind, status FROM videos")}
        for owner, video in node.originals:
            if video in world.ledger.orphaned:
                continue
            path = node.folder / "media" / "videos" / owner / video / "original"
            held.add((video, node.id, hashlib.sha256(path.read_bytes()).hexdigest(), *states[video]))
    assert held == set(world.sql(wanted))


# --- A3 -----------------------------------------------------------------------------------------------


def paid_is_one_live_key(world: World) -> None:
    """That there are not two is the database's own rule; here it is that there is one, and none that was refunded."""
    without = (
        "SELECT p.id::text FROM payments p JOIN courses c ON c.id = p.course_id WHERE p.status = 'paid'"
        " AND c.deleted_at IS NULL AND NOT EXISTS (SELECT FROM keys k"
        " WHERE (k.user_id, k.course_id, k.status) = (p.user_id, p.course_id, 'active'))"
    )
    assert world.sql(without) == [], "paid, and no live key"
    with_one = (
        "SELECT p.id::text, p.status, c.deleted_at FROM keys k JOIN payments p ON p.id = k.payment_id"
        " JOIN courses c ON c.id = k.course_id WHERE k.status = 'active'"
        " AND (p.status <> 'paid' OR c.deleted_at IS NOT NULL)"
    )
    assert world.sql(with_one) == [], "live keys for nothing"
    unbalanced = "SELECT payment_id, reason, sum(amount) FROM ledger_entries GROUP BY 1, 2 HAVING sum(amount) <> 0"
    assert world.sql(unbalanced) == []


# --- A4 -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Truth:
    """Who may watch what, as the VPS's tables have it."""

    users: dict[str, tuple[str, str, int]]
    keys: set[tuple[str, str]]
    owners: set[tuple[str, str]]
    living: set[str]
    previews: set[str]

    @classmethod
    def of(cls, world: World) -> "Truth":
        rows = world.sql("SELECT id::text, role, state, generation FROM users")
        open_previews = (
            "SELECT v.id::text FROM videos v JOIN lessons l ON l.id = v.lesson_id JOIN courses c ON c.id = v.course_id"
            " WHERE l.is_preview AND v.deleted_at IS NULL AND c.deleted_at IS NULL AND c.status = 'published'"
        )
        return cls(
            users={user: (role, state, generation) for user, role, state, generation in rows},
            keys=set(world.sql("SELECT user_id::text, course_id::text FROM keys WHERE status = 'active'")),
            owners=set(world.sql("SELECT teacher_id::text, id::text FROM courses")),
            living={row[0] for row in world.sql("SELECT id::text FROM courses WHERE deleted_at IS NULL")},
            previews={row[0] for row in world.sql(open_previews)},
        )

    def would_give(self, user: str, course: str, video: str, via: str, generation: int) -> bool:
        role, state, now = self.users.get(user, ("", "", -1))
        if state != "active" or now > generation or course not in self.living:
            return False
        holds = {
            "key": (user, course) in self.keys,
            "owner": (user, course) in self.owners,
            "review": role == "admin",
            "preview": video in self.previews,
        }
        return holds[via]


def remembered_rights_are_true(world: World, node: Node) -> None:
    truth = Truth.of(world)
    grants = node.sql("SELECT user_id, course_id, video_id, via, generation FROM grants")
    wrong = [grant for grant in grants if not truth.would_give(*grant)]
    assert wrong == [], f"{node.id} would let them watch"


def feed_is_at_the_head(world: World, node: Node) -> None:
    """Everything is heard of, and the node says so itself."""

    def is_there() -> bool:
        counter = world.sql("SELECT epoch::text, last FROM change_counter")
        return [position_of(node)] == counter

    eventually(is_there)
    assert ready(world, node)["feed_lag"] == 0


def position_of(node: Node) -> tuple[str | None, int | None]:
    kept: dict[str, Any] = dict(node.sql("SELECT name, value FROM remembered"))
    position = kept.get("feed_position")
    return kept.get("feed_epoch"), None if position is None else int(position)


def ready(world: World, node: Node) -> dict[str, Any]:
    answer: dict[str, Any] = world.http.get(f"{node.url}/health/ready").json()
    return answer


def is_fresh(world: World, node: Node) -> None:
    """Waits until the node has just heard from the VPS: its time of trust begins now, and it knows what time it is."""

    def just_heard() -> bool:
        age_s = ready(world, node)["trust_age_s"]
        return age_s is not None and age_s < 1

    eventually(just_heard)


# --- A5 -----------------------------------------------------------------------------------------------


def ffmpegs_of(node: Node) -> list[int]:
    """The process ids of those that work on this node's files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has ended meanwhile
            program, *arguments = process.joinpath("cmdline").read_bytes().split(b"\0")
            told = b" ".join([*arguments, os.fsencode(os.readlink(process / "cwd"))])
            if b"ffmpeg" in os.path.basename(program) and os.fsencode(node.folder) in told:
                found.append(int(process.name))
    return found


def ffmpeg_has_a_job(node: Node) -> None:
    assert not ffmpegs_of(node) or node.sql("SELECT 1 FROM jobs WHERE lease IS NOT NULL")


# --- A6, A7 -------------------------------------------------------------------------------------------


def outbox_drains(world: World, node: Node) -> None:
    """And nothing was set aside in it, but what nobody can place any more."""
    eventually(lambda: {video for (video,) in node.sql("SELECT video_id FROM outbox")} <= world.ledger.orphaned)
    eventually(lambda: not node.sql("SELECT * FROM outbox WHERE set_aside IS NULL"))


def views_are_told(world: World, node: Node) -> None:
    """Of each playback that goes on the VPS knows, and of each view."""
    known = dict(world.sql("SELECT id::text, viewed_at IS NOT NULL FROM playbacks"))
    here = node.sql("SELECT id, viewed_at IS NOT NULL FROM playbacks")
    assert {one: known.get(one) for one, _ in here} == {one: bool(is_view) for one, is_view in here}


def new_work_is_accepted(world: World, cast: Cast) -> None:
    """On every node: a teacher uploads, somebody new buys, and watches all of it."""
    deadline = time.monotonic() + WORKS_WITHIN_S * patience()
    for node in world.nodes:
        while True:
            try:
                course, _ = cast.course_on_sale(node)
                done(cast.teacher.vps.patch(f"/courses/{course.id}", json={"downloads_allowed": True}))
                purchase = buy(world, make_student(world), course)
                watched = purchase.watch()
                assert watched.content == cast.film, watched.content[:300]
                break
            except (AssertionError, httpx.TransportError, psycopg.OperationalError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
