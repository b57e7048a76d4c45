"""Putting a node together from its folder, whatever state a crash or a fault left that in."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from cloud_service.access.actions import Access
from cloud_service.access.published import Published
from cloud_service.access.rights import Rights
from cloud_service.access.sessions import ended_by
from cloud_service.access.viewers import Viewers
from cloud_service.at_once import AtOncePerUser
from cloud_service.captions.files import list_as_on_disk
from cloud_service.clock import VpsClock
from cloud_service.db import FILE, Database, Transaction, is_damage
from cloud_service.feed import Feed
from cloud_service.freshness import Freshness
from cloud_service.guard import damage_of, set_aside, watch
from cloud_service.node import Node
from cloud_service.outbox import Outbox, announce_lost_playbacks
from cloud_service.playback.errors import TooManyAnswers
from cloud_service.playback.models import Lives
from cloud_service.playback.pace import Pace
from cloud_service.playback.playbacks import Playbacks
from cloud_service.playback.secrets import PlaybackSecrets
from cloud_service.playback.timelines import Timelines
from cloud_service.processing.news import News
from cloud_service.processing.queue import enqueue_missing
from cloud_service.reconcile import Reconciler
from cloud_service.reports import Reports
from cloud_service.settings import CloudSettings
from cloud_service.uploads.idempotency import IdempotencyKeys
from cloud_service.uploads.places import forget_claims
from cloud_service.uploads.probing import Probing
from cloud_service.uploads.space import Space
from cloud_service.uploads.sweeping import sweep_regularly
from cloud_service.uploads.tus.errors import TooManyUploads
from cloud_service.uploads.tus.living import ResumableUploads, rebuild_uploads, take_parts_back
from cloud_service.videos.actions import deleted_videos, remove_video
from cloud_service.videos.catalogue import Catalogue
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import VideoStore
from cloud_service.vps import Vps
from shared.contract import Change
from shared.jobs import running
from shared.killpoints import killpoint

log = logging.getLogger(__name__)

CAPTIONS_READ = 1
"""At once: each can take a second of a core."""
ADMISSIONS = 8
"""So many uploads at once have the VPS asked about them: each question has to be answered within its time."""
UNREADABLE_TEXT = "Could not decode to UTF-8"
"""How Python says that a text in the file is none; SQLite itself does not look."""


class Hearing:
    """What the feed's news mean beyond rights: videos, posters and playbacks go, after a reset everything is compared.

    `is_new`: the node has never heard anything, and began without a video.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        store: VideoStore,
        published: Published,
        reconciler: Reconciler,
        playbacks: Playbacks,
        *,
        is_new: bool,
    ) -> None:
        self._catalogue, self._store, self._published, self._reconciler = catalogue, store, published, reconciler
        self._playbacks = playbacks
        self._is_new = is_new

    async def changed(self, change: Change) -> None:
        self._published.hear(change)
        for video in deleted_videos(self._catalogue, change):
            await remove_video(self._catalogue, self._store, video)
        if change.kind == "video_deleted":  # on whichever node it was
            await self._catalogue.take_place_of(str(change.video_id))
        if change.kind == "playback_moved":
            await self._playbacks.move(str(change.playback_id))
        for session_id in ended_by([change]):
            await self._playbacks.end_session(str(change.user_id), session_id)

    async def was_reset(self, transaction: Transaction) -> None:
        """Deletions may have been missed, but of no video that the VPS has just let in."""
        self._published.forget()
        if not self._is_new:
            await self._catalogue.doubt(transaction)
        self._is_new = False
        transaction.on_commit(self._reconciler.want)
        transaction.on_commit(self._playbacks.tell_again)


async def open_database(path: Path) -> Database:
    """A damaged one is set aside for a new one. Raises NewerSchema."""
    if damage := await asyncio.to_thread(damage_of, path):
        log.error("the database is damaged", extra={"reason": damage})
        set_aside(path)
        killpoint("database.set_aside")
    try:
        return await Database.open(path)
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise
        log.exception("the database cannot be opened")
        set_aside(path)
        return await Database.open(path)


async def _load_catalogue(database: Database, store: VideoStore) -> Catalogue:
    """With rows and files one to one: rows made from the files where they are lost, else files without a row swept."""
    catalogue = Catalogue(database)
    was_whole = await catalogue.is_whole()
    if not was_whole:
        await rebuild_uploads(database, store)
        on_disk = await asyncio.to_thread(store.read_rows)
        if on_disk:
            async with database.transaction() as transaction:
                await announce_lost_playbacks(transaction)
        await catalogue.rebuild(on_disk)
        if on_disk:
            log.warning("catalogue rebuilt from the disk", extra={"videos": len(on_disk)})
    await catalogue.load()
    await forget_claims(database)
    async with database.transaction() as transaction:
        await enqueue_missing(transaction)
    await take_parts_back(database, catalogue, store)
    swept = await asyncio.to_thread(store.sweep, catalogue) if was_whole else store.sweep_scratch()
    if swept:
        log.warning("leftovers removed", extra={"ids": swept})
    await asyncio.to_thread(store.add_missing_rows, catalogue)
    await list_as_on_disk(database, store, catalogue)
    return catalogue


async def open_node(settings: CloudSettings) -> Node:
    """Everything loaded, and what a crash left over swept away, before the first request is taken."""
    path = settings.folder / FILE
    try:
        return await _closed_if_it_fails(settings, await open_database(path))
    except Exception as error:
        if not _is_nonsense(error):
            raise
        log.exception("the database holds what nobody wrote")
        set_aside(path)
    return await _closed_if_it_fails(settings, await Database.open(path))


def _is_nonsense(error: Exception) -> bool:
    if isinstance(error, sqlite3.Error):
        return is_damage(error) or UNREADABLE_TEXT in str(error)
    return isinstance(error, (ValueError, TypeError, KeyError))


async def _closed_if_it_fails(settings: CloudSettings, database: Database) -> Node:
    """Its threads would keep the process from ending."""
    try:
        return await _loaded(settings, database)
    except BaseException:
        await database.close()
        raise


async def _loaded(settings: CloudSettings, database: Database) -> Node:
    """Raises what `_is_nonsense` knows for rows that make no sense."""
    clock = VpsClock()
    vps = Vps(settings, clock)
    store = VideoStore(settings.media)
    catalogue = await _load_catalogue(database, store)
    rights, freshness = Rights(database), Freshness(database)
    viewers = Viewers(database, vps, clock, rights.sessions)
    await rights.load()
    await viewers.load()
    await freshness.load()

    async def remove(video: StoredVideo) -> None:
        await remove_video(catalogue, store, video)

    async def unwanted(video_id: str) -> None:
        if video := catalogue.find(video_id):
            await remove(video)

    async def refused(video_id: str, reason: str) -> None:
        await catalogue.refuse(video_id, reason, store.keep_row)

    space = Space(settings.media, settings.disk_reserve_bytes)
    resumable = ResumableUploads(database, store, catalogue, space, settings.upload_kept_s)
    await resumable.load()
    outbox = Outbox(database, vps, unwanted, refused, lambda playback_id: playbacks.move(playback_id))
    playbacks = _playbacks(settings, database, Timelines(catalogue, store), outbox, clock)
    playback_secrets = PlaybackSecrets(database, settings.node_id, settings.playback_s)
    await playbacks.load()
    await playback_secrets.load()
    is_new = rights.position is None and not len(catalogue)
    reconciler = Reconciler(catalogue, rights, outbox, vps, remove)
    published = Published(rights, freshness, vps, settings.trust_watching_s)
    hearing = Hearing(catalogue, store, published, reconciler, playbacks, is_new=is_new)
    taken_at_once = f"at most {settings.uploads_per_user} are taken at once."
    return Node(
        settings=settings,
        database=database,
        clock=clock,
        vps=vps,
        store=store,
        catalogue=catalogue,
        rights=rights,
        viewers=viewers,
        freshness=freshness,
        feed=Feed(rights, freshness, vps, hearing, settings.feed_wait_s),
        access=Access(rights, freshness, vps, settings),
        published=published,
        outbox=outbox,
        news=News(database, catalogue, outbox),
        reconciler=reconciler,
        reports=Reports(settings, vps, clock, store, space, catalogue, rights, freshness, outbox, reconciler),
        uploading=AtOncePerUser(settings.uploads_per_user, partial(TooManyUploads, taken_at_once)),
        answering=AtOncePerUser(settings.answers_per_playback, TooManyAnswers),
        probing=Probing(),
        playbacks=playbacks,
        playback_secrets=playback_secrets,
        pace=Pace(settings.playbacks_per_minute),
        reading_captions=asyncio.Semaphore(CAPTIONS_READ),
        admitting=asyncio.Semaphore(ADMISSIONS),
        space=space,
        resumable=resumable,
        keys=IdempotencyKeys(database),
    )


def _playbacks(
    settings: CloudSettings, database: Database, timelines: Timelines, outbox: Outbox, clock: VpsClock
) -> Playbacks:
    return Playbacks(
        database,
        Lives(settings.playback_open_within_s, settings.playback_idle_s, settings.playback_s),
        settings.playbacks_per_user,
        timelines,
        outbox.wake,
        clock.now,
        settings.playback_told_every_s,
    )


@asynccontextmanager
async def working(node: Node) -> AsyncIterator[None]:
    """Its jobs run as long as the block does; afterwards it serves nothing and is closed."""
    try:
        async with running(
            node.feed.run(),
            node.outbox.run(),
            node.news.run(),
            node.reconciler.run(),
            node.reports.run(),
            node.probing.run(),
            node.playbacks.run(),
            node.playback_secrets.run(),
            node.resumable.run(),
            sweep_regularly(node),
            watch(node.database),
        ):
            yield
    finally:
        node.catalogue.hide_all()
        await node.vps.close()
        with suppress(sqlite3.Error):  # of a damaged file nothing better is to be had
            await node.database.close()
