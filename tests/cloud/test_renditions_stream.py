"""Which file of a video is streamed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloud_service.settings import CloudSettings
from cloud_service.videos.models import Rendition, StoredVideo
from shared.contract import RenditionName
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import FILM, Answering, RunningNode, a_video, eventually, running_node, store

pytestmark = pytest.mark.anyio


def made(name: RenditionName) -> Rendition:
    size = len(name)
    return Rendition(name, width=160, height=90, frame_rate=10.0, size=size, bitrate=1000, codecs="avc1.42c00a")


async def stored(running: RunningNode, video: StoredVideo) -> StoredVideo:
    """Each rendition's bytes are its name."""
    node = running.node
    assert node
    await store(node, video)
    for rendition in video.renditions:
        Path(node.store.folder(video) / f"{rendition.name}.mp4").write_text(rendition.name)
    return video


@pytest.fixture
def vps(made_up: MadeUpVps) -> Answering:
    return Answering(made_up)


@pytest.fixture
async def running(settings: CloudSettings, vps: Answering) -> AsyncIterator[RunningNode]:
    async with running_node(settings) as running:
        await eventually(lambda: running.node and running.node.rights.position)
        yield running


async def test_each_rendition_is_streamed_by_its_name_with_tag_and_ranges_of_its_own(
    running: RunningNode, vps: Answering
) -> None:
    video = await stored(running, replace(a_video(), renditions=(made("sd"), made("full_hd")), status="ready"))
    tags = set()
    vps.may_download = True
    for name, content in (("original", FILM), ("sd", b"sd"), ("full_hd", b"full_hd")):
        answer = await running.get(f"/videos/{video.id}/stream?rendition={name}")
        assert (answer.status_code, answer.content) == (200, content)
        assert answer.headers["content-type"] == "video/mp4"
        tags.add(answer.headers["etag"])
    assert len(tags) == 3
    part = await running.get(f"/videos/{video.id}/stream?rendition=sd&after=3", headers={"Range": "bytes=1-"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"d", "bytes 1-1/2")


@pytest.mark.parametrize("may_keep", [True, False])
async def test_without_a_wish_it_is_what_browsers_play_and_this_viewer_may_have(
    running: RunningNode, vps: Answering, may_keep: bool
) -> None:
    """The original of what can be played otherwise is for those who may keep it, by its name too."""
    vps.may_download = may_keep
    cases: list[tuple[bool, list[RenditionName], bytes]] = [
        (True, [], FILM),
        (True, ["sd", "hd"], FILM if may_keep else b"sd"),
        (True, ["hd"], FILM if may_keep else b"hd"),
        (False, [], FILM),
        (False, ["hd", "sd"], b"sd"),
        (False, ["hd"], b"hd"),
    ]
    for number, (plays, names, expected) in enumerate(cases, start=1):
        video = replace(a_video(number), plays=plays, renditions=tuple(made(name) for name in names))
        assert (await running.watch(await stored(running, video))).content == expected
        original = await running.get(f"/videos/{video.id}/stream?rendition=original")
        assert original.status_code == (200 if may_keep or not names else 404)
        assert may_keep or not names or original.json()["code"] == "rendition_not_found"


async def test_what_was_not_made_is_not_found(running: RunningNode) -> None:
    video = await stored(running, replace(a_video(), renditions=(made("sd"),)))
    for asked in ("hd", "full_hd", "4k", "", "../original", "SD", "sd.mp4", "%00"):
        answer = await running.get(f"/videos/{video.id}/stream?rendition={asked}")
        assert (answer.status_code, answer.json()["code"]) == (404, "rendition_not_found"), asked


async def test_whoever_may_not_watch_does_not_learn_what_was_made(running: RunningNode, vps: Answering) -> None:
    vps.paid.clear()
    video = await stored(running, a_video())
    answer = await running.get(f"/videos/{video.id}/stream?rendition=full_hd")
    assert (answer.status_code, answer.json()["code"]) == (403, "key_required")
