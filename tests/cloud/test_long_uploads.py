"""An upload may take hours, and what its teacher was told at its beginning may have ended meanwhile."""

import time
from collections.abc import AsyncIterator

import pytest

from cloud_service.access import marks
from cloud_service.clock import uptime
from cloud_service.settings import CloudSettings
from cloud_service.uploads.actions import Upload, receive_video
from cloud_service.uploads.places import Place
from shared.contract import UPLOAD_RIGHTS
from tests.clips import Clips
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import opened
from tests.cloud.things import MARK, TEACHER, VIDEO, may_upload, position, viewer

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("took_s", "is_remembered"), [(marks.KEPT_S - 10, True), (marks.KEPT_S + 1, False)])
async def test_only_a_short_upload_leaves_its_teacher_a_right_to_watch_without_asking(
    settings: CloudSettings,
    made_up: MadeUpVps,
    clips: Clips,
    monkeypatch: pytest.MonkeyPatch,
    took_s: float,
    is_remembered: bool,
) -> None:
    made_up.answers("POST", UPLOAD_RIGHTS, may_upload())
    film = clips.film

    async def arriving() -> AsyncIterator[bytes]:
        yield film[:5000]
        later = uptime() + took_s
        monkeypatch.setattr(time, "clock_gettime", lambda _: later)
        yield film[5000:]

    async with opened(settings) as node:
        await node.rights.reset(position(5), MARK)
        video = (await receive_video(node, viewer(TEACHER), Upload(Place("course", VIDEO)), arriving())).video
        assert node.catalogue.get(video.id) == video
        assert (node.rights.grant_for(str(TEACHER), video) is not None) is is_remembered
        assert len(await node.database.fetch("SELECT 1 FROM grants")) == is_remembered
