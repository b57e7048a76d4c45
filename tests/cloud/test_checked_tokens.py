"""Tokens that were checked before: nothing of that makes good what is not."""

from secrets import token_bytes
from urllib.parse import urlsplit

import pytest

from cloud_service.playback.tokens import Secret, read
from tests.cloud.running import RunningNode, a_video, store
from tests.cloud.things import USER

pytestmark = pytest.mark.anyio


@pytest.fixture
async def link(running: RunningNode) -> str:
    """The path of one that was followed already."""
    assert running.node
    await store(running.node, video := a_video())
    began = await running.send("POST", f"/videos/{video.id}/playback", USER)
    path: str = urlsplit(began.json()["mp4"][0]["url"]).path
    assert (await running.get(path)).status_code == 200
    return path


async def test_a_checked_token_is_outdated_as_soon_as_its_secret_is(running: RunningNode, link: str) -> None:
    assert running.node
    secrets = running.node.playback_secrets
    own = secrets.live
    newer = Secret(own[0].number + 1, token_bytes(32), own[0].made_at + 1)
    for live, status in (((newer, *own), 200), ((newer,), 410), (own, 200)):
        secrets.live = live
        assert (await running.get(link)).status_code == status


async def test_a_checked_token_vouches_for_no_other_spelling(running: RunningNode, link: str) -> None:
    _, _, token, name = link.split("/")
    for place, letter in enumerate(token):
        other = "B" if letter == "A" else "A"
        changed = f"{token[:place]}{other}{token[place + 1 :]}"
        assert (await running.get(f"/play/{changed}/{name}")).status_code in (404, 410), place
    assert (await running.get(link)).status_code == 200


async def test_a_checked_token_opens_nothing_once_its_playback_or_its_right_is_gone(
    running: RunningNode, link: str
) -> None:
    assert running.node
    claims = read(running.node.playback_secrets.live, link.split("/")[2])
    playback = running.node.playbacks.get(claims.playback_id)
    assert playback
    playback.has_moved = True
    assert (await running.get(link)).json()["code"] == "playback_moved"
    playback.has_moved = False
    running.node.catalogue.hide_all()
    assert (await running.get(link)).status_code != 200
