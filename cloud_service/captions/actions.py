"""Putting captions to a video, reading them, taking them away."""

import asyncio
import time
from pathlib import Path

from cloud_service.access.actions import VideoNotFound
from cloud_service.access.models import Viewer
from cloud_service.captions import files
from cloud_service.captions.errors import CaptionsNotFound, InvalidLanguage, TooManyLanguages
from cloud_service.captions.languages import canonical
from cloud_service.captions.webvtt import to_webvtt
from cloud_service.db import to_its_end
from cloud_service.node import Node
from cloud_service.uploads.errors import StorageFull
from cloud_service.videos.actions import shown_video
from cloud_service.videos.models import StoredVideo
from cloud_service.videos.store import is_full
from shared.killpoints import killpoint

MOST_BYTES = 2 * 2**20
MOST_LANGUAGES = 20


def language_of(tag: str) -> str:
    """As it is written. Raises InvalidLanguage."""
    if language := canonical(tag):
        return language
    raise InvalidLanguage("A language is named as in RFC 5646, like ar, en-GB or zh-Hant.", field="language")


async def own_video(node: Node, viewer: Viewer, video_id: str) -> StoredVideo:
    """Raises VideoNotFound, also for somebody else's, and what forbids its owner to watch."""
    video = shown_video(node.catalogue, video_id)
    if video.owner_id != viewer.id:
        raise VideoNotFound
    await node.access.check(viewer, video)
    return video


async def put_captions(node: Node, video: StoredVideo, language: str, content: bytes) -> bytes:
    """The captions as they are kept. Raises what `to_webvtt` does, TooManyLanguages, VideoNotFound, StorageFull."""
    async with node.reading_captions:
        text = await asyncio.to_thread(to_webvtt, content)
    partial = files.beside(files.path_of(node.store, video, language))
    try:
        try:
            await to_its_end(asyncio.to_thread(files.write, partial, text))
            await _replace(node, video, language, len(text), partial)
        finally:
            partial.unlink(missing_ok=True)
    except FileNotFoundError:
        raise VideoNotFound from None
    except OSError as error:
        if is_full(error):
            raise StorageFull from None
        raise
    return text


async def _replace(node: Node, video: StoredVideo, language: str, size: int, partial: Path) -> None:
    """Within the transaction, so that files and rows change in the same order."""
    async with node.database.transaction(durable=True) as transaction:
        if node.catalogue.get(video.id) is None:
            raise VideoNotFound
        listed = await transaction.fetch("SELECT language FROM captions WHERE video_id = ?", (video.id,))
        others = [row["language"] for row in listed if row["language"] != language]
        if len(others) >= MOST_LANGUAGES:
            raise TooManyLanguages(f"At most {MOST_LANGUAGES}.")
        await asyncio.to_thread(files.move_into_place, partial, files.path_of(node.store, video, language))
        killpoint("captions.moved")
        await files.list_one(transaction, video.id, language, size, int(time.time()))


async def read_captions(node: Node, video: StoredVideo, tag: str) -> bytes:
    """Raises CaptionsNotFound."""
    language = canonical(tag)
    if language is None:
        raise CaptionsNotFound
    try:
        return await asyncio.to_thread(files.path_of(node.store, video, language).read_bytes)
    except FileNotFoundError:
        raise CaptionsNotFound from None


async def delete_captions(node: Node, video: StoredVideo, tag: str) -> None:
    """Raises CaptionsNotFound."""
    language = canonical(tag)
    if language is None:
        raise CaptionsNotFound
    async with node.database.transaction(durable=True) as transaction:
        await asyncio.to_thread(files.remove, files.path_of(node.store, video, language))
        killpoint("captions.removed")
        if not await files.forget_one(transaction, video.id, language):
            raise CaptionsNotFound
