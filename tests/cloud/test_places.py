"""Into a lesson that has a video: what the VPS allows, and what this node holds of that lesson itself."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import httpx
import pytest

from cloud_service.opening import ADMISSIONS
from cloud_service.settings import CloudSettings
from cloud_service.uploads.actions import Upload, receive_video
from cloud_service.uploads.errors import LessonHasVideo, ReplacementUnderWay
from cloud_service.uploads.places import Place, admit
from cloud_service.videos.models import StoredVideo
from shared.contract import EVENTS, UPLOAD_RIGHTS
from shared.problems import AppError
from tests.clips import Clips
from tests.cloud.made_up import MadeUpVps, bodies
from tests.cloud.running import a_video, eventually, opened, store
from tests.cloud.things import TEACHER, may_upload, viewer

pytestmark = pytest.mark.anyio

OLD = a_video(1)
NEW = replace(a_video(2), lesson_id=OLD.lesson_id, replaces=OLD.id)
PLACE = Place("course", UUID(OLD.lesson_id), replace=True)


@pytest.fixture(autouse=True)
def allowing(made_up: MadeUpVps) -> None:
    """The VPS would have the old video replaced."""
    made_up.answers("POST", UPLOAD_RIGHTS, may_upload(replaces=UUID(OLD.id)))


async def test_a_replacement_that_failed_goes_when_the_next_is_admitted_and_the_old_video_stays(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    told = made_up.answers("POST", EVENTS, {"verdict": "applied"})
    failed = replace(NEW, status="error", reason="It ends early.")
    async with opened(settings) as node:
        await store(node, OLD, failed)
        async with node.database.transaction() as transaction:
            await node.outbox.add(transaction, failed.announcement())
        assert (await admit(node, viewer(TEACHER), PLACE)).replaces == OLD.id
        assert bodies(told)[0]["about"]["status"] == "error"  # before it asks, so that the VPS knows
        assert [video.id for video in node.catalogue] == [OLD.id]
        assert not node.store.folder(failed).exists()


async def test_while_what_goes_before_a_replacement_is_told_other_uploads_are_admitted(
    settings: CloudSettings, made_up: MadeUpVps
) -> None:
    """And nothing else of the backlog is."""
    told, slow = list[str](), asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        told.append(json.loads(request.content)["about"]["video_id"])
        await slow.wait()
        return made_up.signed(request, httpx.Response(200, json={"verdict": "applied"}))

    made_up.does("POST", EVENTS, answer)
    async with opened(settings) as node:
        await store(node, OLD)
        async with node.database.transaction() as transaction:
            for video in (a_video(3), OLD, a_video(4)):
                await node.outbox.add(transaction, video.announcement())
        waiting = [asyncio.ensure_future(admit(node, viewer(TEACHER), PLACE)) for _ in range(ADMISSIONS)]
        await eventually(lambda: told)
        async with asyncio.timeout(5):
            await admit(node, viewer(TEACHER), Place("practice"))
        slow.set()
        assert {(await one).replaces for one in waiting} == {OLD.id}
        assert (set(told), (await node.outbox.backlog()).depth) == ({OLD.id}, 2)


@pytest.mark.parametrize(
    ("held", "refusal"),
    [(NEW, ReplacementUnderWay), (replace(NEW, replaces=""), LessonHasVideo)],
)
async def test_one_that_the_vps_has_not_heard_of_is_in_the_way(
    settings: CloudSettings, held: StoredVideo, refusal: type[AppError]
) -> None:
    async with opened(settings) as node:
        await store(node, held)
        with pytest.raises(refusal):
            await admit(node, viewer(TEACHER), PLACE)
        assert len(node.catalogue) == 1


@pytest.mark.parametrize(
    ("came_first", "replaced", "refusal"), [(NEW, OLD.id, ReplacementUnderWay), (OLD, None, LessonHasVideo)]
)
async def test_one_that_came_first_by_another_way_is_what_the_later_one_hears_of(
    settings: CloudSettings,
    made_up: MadeUpVps,
    clips: Clips,
    came_first: StoredVideo,
    replaced: str | None,
    refusal: type[AppError],
) -> None:
    """Both were admitted when neither was there."""
    made_up.answers("POST", UPLOAD_RIGHTS, may_upload(replaces=replaced))
    async with opened(settings) as node:

        async def arriving() -> AsyncIterator[bytes]:
            yield clips.film[:5000]
            await store(node, came_first)
            yield clips.film[5000:]

        with pytest.raises(refusal):
            await receive_video(node, viewer(TEACHER), Upload(PLACE), arriving())
        assert [video.id for video in node.catalogue] == [came_first.id]
