"""A playback as SQLite keeps it, and as the VPS is told of it."""

import json
from collections.abc import Iterable
from dataclasses import astuple
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiosqlite

from cloud_service.access.models import Viewer
from cloud_service.clock import boot
from cloud_service.db import Transaction
from cloud_service.playback.models import Lives, Playback
from cloud_service.playback.watched import Run
from shared.playbacks import PlaybackTold

INSERT = """
INSERT INTO playbacks (id, video_id, user_id, generation, session_id, has_original, boot, began_at, began_unix)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPDATE = "UPDATE playbacks SET used_at = ?, viewed_at = ?, has_moved = ?, watched = ?, run = ? WHERE id = ?"


def playback_of(row: aiosqlite.Row) -> Playback:
    return Playback(
        row["id"],
        row["video_id"],
        Viewer(row["user_id"], row["generation"], 0, session_id=row["session_id"]),
        row["began_at"],
        row["used_at"],
        bool(row["has_original"]),
        bool(row["has_moved"]),
        began_unix=row["began_unix"],
        viewed_at=row["viewed_at"],
        watched=[(start_s, stop_s) for start_s, stop_s in json.loads(row["watched"])],
        run=Run(*json.loads(row["run"])) if row["run"] else None,
    )


async def insert_row(transaction: Transaction, one: Playback) -> None:
    viewer = one.viewer
    values = (one.id, one.video_id, viewer.id, viewer.generation, viewer.session_id, one.has_original)
    await transaction.execute(INSERT, (*values, boot(), one.began_at, one.began_unix))


async def update_rows(transaction: Transaction, playbacks: Iterable[Playback]) -> None:
    """With whatever may have changed since they began."""
    await transaction.execute_many(UPDATE, [(*_changing(one), one.id) for one in playbacks])


def _changing(one: Playback) -> tuple[Any, ...]:
    run = json.dumps(astuple(one.run)) if one.run else None
    return one.used_at, one.viewed_at, one.has_moved, json.dumps(_rounded(one)), run


async def delete_rows(transaction: Transaction, playbacks: Iterable[Playback]) -> None:
    await transaction.execute_many("DELETE FROM playbacks WHERE id = ?", [(one.id,) for one in playbacks])


def told_of(one: Playback, lives: Lives) -> PlaybackTold:
    """All that is known of it by now."""
    return PlaybackTold(
        playback_id=UUID(one.id),
        video_id=UUID(one.video_id),
        user_id=UUID(one.viewer.id),
        began_at=_moment(one.began_unix),
        ends_at=_moment(one.began_unix + lives.in_all_s),
        viewed_at=None if one.viewed_at is None else _moment(one.viewed_at),
        used_at=None if one.used_at is None else _moment(one.unix(one.used_at)),
        watched=_rounded(one),
        ended_at=None if one.ended_unix is None else _moment(one.ended_unix),
        end=one.end,
    )


def _rounded(one: Playback) -> list[tuple[float, float]]:
    """To the millisecond."""
    return [(round(start_s, 3), round(stop_s, 3)) for start_s, stop_s in one.watched]


def _moment(unix_s: float) -> datetime:
    return datetime.fromtimestamp(unix_s, UTC)
