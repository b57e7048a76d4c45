"""The right to upload ends while the bytes come: so does the upload, at once, and nothing comes of it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import uuid4

import httpx
import pytest

from cloud_service.settings import CloudSettings
from shared import contract
from shared.tokens import sign_access
from tests.clips import Clips
from tests.cloud.made_up import MadeUpVps
from tests.cloud.resuming import CREATION, Permitting, head, parts
from tests.cloud.running import ACCESS_KEY, RunningNode, eventually, running_node
from tests.cloud.things import USER, VIDEO, change, position
from tests.tus.table import OCTETS, VERSION, metadata

pytestmark = [pytest.mark.anyio, pytest.mark.settings(feed_wait_s=0.5)]

PHONE, LAPTOP = uuid4(), uuid4()
COURSE_VIDEO, PRACTICE = f"/videos?lesson_id={VIDEO}", "/videos?kind=practice&title=Scales"
ENDS: dict[str, tuple[dict[str, Any], int, str]] = {
    "a ban": ({"kind": "user_banned", "user": USER}, 401, "not_authenticated"),
    "signing out everywhere": ({"kind": "user_signed_out", "user": USER}, 401, "not_authenticated"),
    "another role": ({"kind": "user_role_changed", "user": USER}, 401, "not_authenticated"),
    "the end of its session": ({"kind": "session_ended", "user": USER, "session": PHONE}, 401, "not_authenticated"),
    "a demotion": ({"kind": "teacher_demoted", "user": USER}, 403, "upload_not_allowed"),
}
"""What the node hears of, and what is answered."""
OTHERS = (
    {"kind": "user_banned", "user": uuid4()},
    {"kind": "teacher_demoted", "user": uuid4()},
    {"kind": "session_ended", "user": USER, "session": LAPTOP},
    {"kind": "teacher_verified", "user": USER},
    {"kind": "key_granted", "user": USER, "course": uuid4()},
)


class Permitter(Permitting):
    """It allows every upload until it is told a `refusal`; its answers are `as_of` that change."""

    refusal: Literal["signed_out", "not_enough_followers"] | None = None
    as_of = 0

    async def _say(self, path: str, body: Any) -> Any:
        said = await super()._say(path, body)
        if path != contract.UPLOAD_RIGHTS:
            return said
        answer = said.model_copy(update={"as_of": position(self.as_of, self.epoch)})
        return answer.model_copy(update={"allowed": False, "reason": self.refusal}) if self.refusal else answer

    def questions(self) -> int:
        return len(self.told(contract.UPLOAD_RIGHTS))


@pytest.fixture
def vps(made_up: MadeUpVps) -> Permitter:
    return Permitter(made_up)


@pytest.fixture
async def node(settings: CloudSettings, vps: Permitter) -> AsyncIterator[RunningNode]:
    async with running_node(settings) as node:
        await heard_of(node, 0)
        yield node


async def heard_of(node: RunningNode, number: int) -> None:
    await eventually(lambda: node.node and node.node.rights.position == position(number))


async def hears(node: RunningNode, vps: Permitter, *told: dict[str, Any]) -> None:
    for about in told:
        vps.changes.append(change(len(vps.changes) + 1, **about))
    await heard_of(node, len(vps.changes))


def bearer(session: Any = PHONE) -> dict[str, str]:
    return {"Authorization": f"Bearer {sign_access(ACCESS_KEY, USER, 'sara', 'teacher', 60, session_id=session)}"}


@dataclass
class Sending:
    """A request whose body is half sent; the other half comes when it is told to go on."""

    content: bytes
    answer: asyncio.Task[httpx.Response] = field(init=False)
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)
    goes_on: asyncio.Event = field(default_factory=asyncio.Event)

    async def body(self) -> AsyncIterator[bytes]:
        half = len(self.content) // 2
        yield self.content[:half]
        self.has_begun.set()
        await self.goes_on.wait()
        yield self.content[half:]

    async def begin(self, node: RunningNode, method: str, path: str, **headers: str) -> "Sending":
        sent = node.send(method, path, USER, headers=bearer() | headers, content=self.body())
        self.answer = asyncio.create_task(sent)
        await self.has_begun.wait()
        return self

    async def refused(self) -> tuple[int, str]:
        """While the other half still has not come."""
        async with asyncio.timeout(10):
            answer = await self.answer
        return answer.status_code, answer.json()["code"]

    async def finish(self) -> int:
        self.goes_on.set()
        return (await self.answer).status_code


async def uploading(node: RunningNode, content: bytes, path: str = COURSE_VIDEO) -> Sending:
    return await Sending(content).begin(node, "POST", path)


async def resumable(node: RunningNode, content: bytes, **about: str) -> str:
    told = {**CREATION, "Upload-Metadata": metadata(**(about or {"lesson_id": str(VIDEO)}))}
    begun = await node.send("POST", "/uploads", USER, headers={**bearer(), **told, "Upload-Length": str(len(content))})
    assert begun.status_code == 201, begun.text
    return str(begun.headers["location"])


async def patching(node: RunningNode, address: str, content: bytes) -> Sending:
    return await Sending(content).begin(node, "PATCH", address, **VERSION, **OCTETS, **{"Upload-Offset": "0"})


async def patched(node: RunningNode, address: str, at: int, content: bytes, session: Any = PHONE) -> int:
    told = {**bearer(session), **VERSION, **OCTETS, "Upload-Offset": str(at)}
    return (await node.send("PATCH", address, USER, headers=told, content=content)).status_code


async def nothing_is_left(node: RunningNode, settings: CloudSettings) -> bool:
    assert node.node
    claimed = await node.node.database.fetch("SELECT 1 FROM uploads")
    scratch = list((settings.folder / "media" / "scratch").iterdir())
    return not (claimed or scratch or node.node.space.under_way() or len(node.node.catalogue))


@pytest.mark.parametrize("end", ENDS)
async def test_an_upload_in_one_request_ends_and_leaves_nothing(
    node: RunningNode, vps: Permitter, settings: CloudSettings, clips: Clips, end: str
) -> None:
    told, *refusal = ENDS[end]
    upload = await uploading(node, clips.film)
    await hears(node, vps, told)
    assert await upload.refused() == tuple(refusal)
    assert await nothing_is_left(node, settings)


@pytest.mark.parametrize("end", ENDS)
async def test_of_a_resumable_one_stays_what_came_and_nothing_is_added(
    node: RunningNode, vps: Permitter, settings: CloudSettings, clips: Clips, end: str
) -> None:
    told, status, code = ENDS[end]
    address = await resumable(node, clips.film)
    upload = await patching(node, address, clips.film)
    vps.refusal = "not_enough_followers" if status == 403 else "signed_out"
    await hears(node, vps, told)
    assert await upload.refused() == (status, code)
    (part,) = parts(settings)
    half = len(clips.film) // 2
    assert part.read_bytes() == clips.film[:half]
    for _ in range(2):
        assert await patched(node, address, half, clips.film[half:]) == status
    assert part.read_bytes() == clips.film[:half]


async def test_who_signs_in_again_goes_on_with_a_resumable_one(node: RunningNode, vps: Permitter, clips: Clips) -> None:
    address = await resumable(node, clips.film)
    upload = await patching(node, address, clips.film)
    await hears(node, vps, {"kind": "session_ended", "user": USER, "session": PHONE})
    assert (await upload.refused())[0] == 401
    half = len(clips.film) // 2
    assert await patched(node, address, half, clips.film[half:], LAPTOP) == 204


async def test_what_is_about_others_ends_nobodys_upload(node: RunningNode, vps: Permitter, clips: Clips) -> None:
    uploads = [await uploading(node, clips.film), await patching(node, await resumable(node, clips.film), clips.film)]
    await hears(node, vps, *OTHERS)
    assert await uploads[0].finish() == 201
    assert await uploads[1].finish() == 409  # the lesson has its video by now


async def test_a_demotion_ends_no_upload_of_a_practice_video(node: RunningNode, vps: Permitter, clips: Clips) -> None:
    upload = await uploading(node, clips.film, PRACTICE)
    address = await resumable(node, clips.film, kind="practice", title="Scales")
    resumed = await patching(node, address, clips.film)
    await hears(node, vps, {"kind": "teacher_demoted", "user": USER})
    vps.as_of = 1  # it is asked again when the resumable one is whole
    assert [await upload.finish(), await resumed.finish()] == [201, 204]


async def test_what_the_vps_knew_when_it_allowed_the_upload_does_not_end_it(
    node: RunningNode, vps: Permitter, clips: Clips
) -> None:
    """As of who has just signed in again, where the node hears of the end later."""
    vps.as_of = 1
    upload = await uploading(node, clips.film)
    await hears(node, vps, {"kind": "user_signed_out", "user": USER})
    assert await upload.finish() == 201


async def test_what_ends_after_the_last_byte_ends_it_too(
    node: RunningNode, vps: Permitter, settings: CloudSettings, clips: Clips
) -> None:
    assert node.node
    upload = await uploading(node, clips.film)
    async with node.node.database.transaction():  # for which the upload has to wait
        finishing = asyncio.create_task(upload.finish())
        (scratch,) = (settings.folder / "media" / "scratch").iterdir()
        await eventually(lambda: not scratch.exists() or scratch.stat().st_size == len(clips.film))
        node.node.rights.hear([change(1, "user_banned", user=USER)])
    assert await finishing == 401
    assert await nothing_is_left(node, settings)


# --- what the node cannot know ----------------------------------------------------------------------------------


@pytest.mark.parametrize("missed", [False, True])
async def test_what_a_node_was_allowed_before_it_heard_of_any_change_is_in_doubt_only_if_it_missed_one(
    settings: CloudSettings, vps: Permitter, clips: Clips, missed: bool
) -> None:
    vps.changes_fail = True
    async with running_node(settings) as node:
        await eventually(lambda: node.node)
        upload = await uploading(node, clips.film)
        vps.changes = [change(1, "user_activated", user=USER)] if missed else []
        vps.changes_fail = False
        await heard_of(node, len(vps.changes))
        vps.away = True
        assert await upload.finish() == (503 if missed else 201)


@pytest.mark.parametrize("refusal", [None, "signed_out"])
async def test_where_a_reset_comes_between_the_vps_is_asked_again_at_the_end(
    node: RunningNode, vps: Permitter, settings: CloudSettings, clips: Clips, refusal: Any
) -> None:
    upload = await uploading(node, clips.film)
    address = await resumable(node, clips.film, kind="practice", title="Scales")
    vps.epoch, vps.refusal = uuid4(), refusal
    await eventually(lambda: node.node and node.node.rights.position == position(0, vps.epoch))
    assert await upload.finish() == (401 if refusal else 201)
    assert await patched(node, address, 0, clips.film[:1000]) == (401 if refusal else 204)
    assert node.node
    assert len(node.node.catalogue) == (0 if refusal else 1)
    assert list((settings.folder / "media" / "scratch").iterdir()) == []


async def test_a_change_after_a_reset_ends_what_was_allowed_before_whatever_its_number(
    node: RunningNode, vps: Permitter, clips: Clips
) -> None:
    vps.as_of = 1000
    upload = await uploading(node, clips.film)
    vps.epoch = uuid4()
    await eventually(lambda: node.node and node.node.rights.position == position(0, vps.epoch))
    vps.changes.append(change(1, "user_banned", user=USER))
    assert await upload.refused() == (401, "not_authenticated")


@pytest.mark.parametrize("refusal", [None, "signed_out"])
@pytest.mark.parametrize("is_resumable", [False, True])
async def test_a_reset_after_the_last_byte_has_the_vps_asked_again(
    node: RunningNode, vps: Permitter, settings: CloudSettings, clips: Clips, is_resumable: bool, refusal: Any
) -> None:
    assert node.node
    film, address, asked = clips.film, "", 1
    if is_resumable:
        address = await resumable(node, film)
    upload = await (patching(node, address, film) if is_resumable else uploading(node, film))
    (received,) = [*(settings.folder / "media" / "scratch").iterdir(), *parts(settings)]
    async with node.node.database.transaction():  # for which the upload has to wait
        finishing = asyncio.create_task(upload.finish())
        await eventually(lambda: vps.questions() > asked if is_resumable else not received.exists())
        vps.epoch, vps.refusal = uuid4(), refusal
        resetting = asyncio.create_task(node.node.rights.reset(position(0, vps.epoch), uuid4()))
        await asyncio.sleep(0)
    assert await finishing == (401 if refusal else 204 if is_resumable else 201)
    await resetting
    assert len(node.node.catalogue) == (0 if refusal else 1)


async def test_a_resumable_upload_is_asked_about_once_a_session_and_once_a_start(
    settings: CloudSettings, vps: Permitter, clips: Clips
) -> None:
    film = clips.film

    async def asked(node: RunningNode, at: int, session: Any = PHONE) -> int:
        before = vps.questions()
        assert await patched(node, address, at, film[at : at + 100], session) == 204
        return vps.questions() - before

    async with running_node(settings) as node:
        await heard_of(node, 0)
        address = await resumable(node, film)
        assert [await asked(node, 0), await asked(node, 100), await asked(node, 200, LAPTOP)] == [0, 0, 1]
        assert await asked(node, 300, LAPTOP) == 0
    async with running_node(settings) as node:
        assert [await asked(node, 400), await asked(node, 500)] == [1, 0]
        assert (await head(node, address)).headers["upload-offset"] == "600"
