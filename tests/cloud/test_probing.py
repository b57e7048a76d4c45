"""Looking into uploads when what looks fails: what is no verdict destroys nothing, and nobody has all the turns."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from cloud_service.media import asking
from cloud_service.media.asking import Asking, first_bytes
from cloud_service.settings import CloudSettings
from cloud_service.uploads import inspection, probe
from cloud_service.uploads.errors import NotAVideo, NotInspected
from cloud_service.uploads.probe import NoVideo
from cloud_service.uploads.probing import WORDLESS_TIMES, Probing
from shared import contract
from shared.jobs import running
from tests.clips import Clips
from tests.cloud.beginning import done_to_each
from tests.cloud.made_up import MadeUpVps
from tests.cloud.running import Answering, RunningNode, eventually, running_node
from tests.cloud.things import COURSE, USER, may_upload
from tests.tus.table import OCTETS, VERSION, metadata

pytestmark = pytest.mark.anyio

INSPECTION = "cloud_service.uploads.inspection"
PRACTICE = "/videos?kind=practice&title=x"
AUTOGROUP = Path("/proc/self/autogroup")
CREATION = {**VERSION, "Upload-Metadata": metadata(kind="practice", title="x")}


class Permitting(Answering):
    async def _say(self, path: str, body: object) -> object:
        if path == contract.UPLOAD_RIGHTS:
            return may_upload(0, course_id=USER, quota_bytes=2**40)
        return await super()._say(path, body)


@pytest.fixture
async def node(settings: CloudSettings, made_up: MadeUpVps) -> AsyncIterator[RunningNode]:
    Permitting(made_up)
    async with running_node(settings) as node:
        yield node


def inspectors() -> list[int]:
    """Those of this process, by their process ids."""
    found = []
    for pid in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            if INSPECTION.encode() in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found


@contextmanager
def killing(by: signal.Signals, times: int = 10**6) -> Iterator[list[int]]:
    """As many inspectors as this, before they are asked, and whoever is ready by now; those killed."""
    killed: list[int] = []

    def kill(begun: Process) -> None:
        if len(killed) < times:
            begun.send_signal(by)
            killed.append(begun.pid)

    for ready in inspectors():
        os.kill(ready, by)
    with done_to_each(kill):
        yield killed


@pytest.fixture
def film(clips: Clips, tmp_path: Path) -> Path:
    path = tmp_path / "film"
    path.write_bytes(clips.film)
    return path


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    """To open it takes for ever, as nobody writes to it."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


# --- no word is no verdict --------------------------------------------------------------------------------------


async def test_an_inspector_that_is_killed_once_is_asked_again(film: Path) -> None:
    with killing(signal.SIGKILL, times=1) as killed:
        assert (await probe.probe(film, Asking(INSPECTION))).width == 160
    assert len(killed) == 1


@pytest.mark.parametrize("by", [signal.SIGKILL, signal.SIGTERM])
async def test_an_inspector_that_is_killed_is_no_word_about_the_file(film: Path, by: signal.Signals) -> None:
    with killing(by) as killed, pytest.raises(NotInspected):
        await probe.probe(film, Asking(INSPECTION))
    assert len(killed) == probe.TRIES


async def test_an_inspector_that_cannot_start_is_no_word_about_the_file(
    film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(NotInspected):
        await probe.probe(film, Asking(INSPECTION))


async def test_a_file_on_which_the_inspector_crashes_or_hangs_is_given_up_in_the_end(
    film: Path, pipe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probing = Probing()
    with killing(signal.SIGSEGV):
        for _ in range(WORDLESS_TIMES - 1):
            with pytest.raises(NotInspected):
                await probing.look_into(film, "crashing", "omar")
        with pytest.raises(NotAVideo, match="cannot be opened"):
            await probing.look_into(film, "crashing", "omar")
    monkeypatch.setattr(probe, "TIMEOUT_S", 0.2)
    for sha256 in ("hanging", "another"):
        for _ in range(WORDLESS_TIMES - 1):
            with pytest.raises(NotInspected):
                await probing.look_into(pipe, sha256, "omar")
    with pytest.raises(NotAVideo, match="takes too long"):
        await probing.look_into(pipe, "hanging", "omar")


async def test_a_word_in_between_is_a_new_beginning(film: Path) -> None:
    probing = Probing()
    for _ in range(2):
        with killing(signal.SIGABRT):
            for _ in range(WORDLESS_TIMES - 1):
                with pytest.raises(NotInspected):
                    await probing.look_into(film, "film", "omar")
        assert (await probing.look_into(film, "film", "omar")).width == 160


SPINS = """
import sys
from cloud_service.uploads import inspection

def spin(path):
    while True:
        pass

inspection.CPU_S = 1
inspection.look = spin
inspection.main(sys.argv[1])
"""


async def test_a_file_that_takes_too_much_of_a_processor_is_told_so(film: Path) -> None:
    """By a signal that is the kernel's own word for it."""
    command = (sys.executable, "-c", SPINS, str(os.getpid()))
    spinning = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
    await spinning.communicate(json.dumps([str(film)]).encode())
    assert spinning.returncode == -signal.SIGXCPU
    assert min(inspection.LIMITS.cpu_s, probe.TIMEOUT_S) > inspection.CPU_S
    with killing(signal.SIGXCPU), pytest.raises(NoVideo, match="takes too long"):
        await probe.probe(film, Asking(INSPECTION))


# --- one is ready before it is asked ----------------------------------------------------------------------------


async def test_whoever_was_foreseen_to_be_asked_is_ready_and_ends_with_the_answer(film: Path) -> None:
    inspector = Asking(INSPECTION)
    async with running(inspector.run()):
        for _ in range(2):
            inspector.foresee()
            inspector.foresee()
            await eventually(lambda: inspector.is_ready)
            (ready,) = inspectors()
            looking = asyncio.ensure_future(probe.probe(film, inspector))
            while not looking.done():
                assert set(inspectors()) <= {ready}
                await asyncio.sleep(0)
            assert (await looking).width == 160
            assert inspectors() == []


async def test_whoever_is_ready_and_not_asked_for_long_ends_and_another_can_be_made_ready(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "KEPT_S", 0.2)
    inspector = Asking(INSPECTION)
    async with running(inspector.run()):
        for _ in range(2):
            inspector.foresee()
            await eventually(lambda: inspector.is_ready)
            await eventually(lambda: not inspector.is_ready and not inspectors())


@pytest.mark.skipif(not AUTOGROUP.exists(), reason="this kernel does not share processors out by session")
async def test_looking_into_a_film_leaves_the_node_as_important_as_it_was(film: Path) -> None:
    before = AUTOGROUP.read_text()
    assert (await probe.probe(film, Asking(INSPECTION))).width == 160
    assert AUTOGROUP.read_text() == before


async def test_whoever_is_ready_for_a_question_that_never_comes_ends_with_the_node() -> None:
    probing = Probing()
    async with running(probing.run()):
        probing.foresee()
        await eventually(inspectors)
    await eventually(lambda: not inspectors())


async def test_an_inspector_is_made_ready_while_the_bytes_arrive(node: RunningNode, clips: Clips) -> None:
    sent = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield clips.film[:-1]
        await sent.wait()
        yield clips.film[-1:]

    uploading = asyncio.ensure_future(node.send("POST", PRACTICE, USER, content=body()))
    await eventually(inspectors)
    sent.set()
    assert (await uploading).status_code == 201


async def test_a_ready_one_that_was_killed_meanwhile_is_not_missed(film: Path) -> None:
    probing = Probing()
    async with running(probing.run()):
        probing.foresee()
        (ready,) = await eventually(inspectors)
        os.kill(ready, signal.SIGKILL)
        found = await asyncio.gather(*(probing.look_into(film, "film", owner) for owner in ("omar", "mona", "sami")))
        assert [one.width for one in found] == [160, 160, 160]


# --- what it says is not believed -------------------------------------------------------------------------------


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the inspector be a program of these lines."""

    python, program = sys.executable, tmp_path / "inspector"

    def speak(lines: str) -> None:
        program.write_text(f"#!{python}\n{lines}\n")
        program.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(program))

    return speak


@pytest.mark.parametrize(
    "said",
    [
        "",
        "null",
        "{}",
        "[]",
        '{"reason": ""}',
        '{"reason": 1}',
        '{"duration_s": "1", "width": 160, "height": 90, "plays": true}',
        '{"duration_s": 1, "width": 1e400, "height": 90, "plays": true}',
        '{"duration_s": NaN, "width": 160, "height": 90, "plays": true}',
        '{"duration_s": -1, "width": 160, "height": 90, "plays": true}',
        '{"duration_s": 1, "width": 0, "height": 90, "plays": true}',
        '{"duration_s": 1, "width": 160, "height": 90, "plays": "yes"}',
    ],
)
async def test_what_makes_no_sense_is_no_word(film: Path, says: Callable[[str], None], said: str) -> None:
    says(f"print('''{said}''')")
    with pytest.raises(NotInspected):
        await probe.probe(film, Asking(INSPECTION))


async def test_of_what_it_writes_no_more_is_kept_than_could_make_sense(says: Callable[[str], None]) -> None:
    says(f"import sys; sys.stdout.write(' ' * {asking.MOST_BYTES}); sys.stderr.write('e' * 10**7)")
    answer = await Asking(INSPECTION).ask(within_s=60)
    assert (answer.code, len(answer.output), len(answer.said)) == (0, asking.MOST_BYTES, asking.MOST_BYTES)
    says("import sys; sys.stdout.write(' ' * 10**7)")
    answer = await Asking(INSPECTION).ask(within_s=60)
    assert (answer.code, answer.output) == (None, b"")
    stream = asyncio.StreamReader()
    stream.feed_data(bytes(10**6))
    stream.feed_eof()
    assert len(await first_bytes(stream)) == asking.MOST_BYTES + 1


# --- what clients hear ------------------------------------------------------------------------------------------


async def test_an_upload_whose_inspector_is_killed_is_to_be_sent_again(
    node: RunningNode, settings: CloudSettings, clips: Clips
) -> None:
    with killing(signal.SIGKILL):
        answer = await node.send("POST", PRACTICE, USER, content=clips.film)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_inspected")
    assert int(answer.headers["retry-after"]) > 0
    assert list((settings.folder / "media" / "scratch").iterdir()) == []
    assert (await node.send("POST", PRACTICE, USER, content=clips.film)).status_code == 201


async def test_a_resumable_upload_whose_inspector_is_killed_keeps_its_bytes(node: RunningNode, clips: Clips) -> None:
    lengths = {**CREATION, "Upload-Length": str(len(clips.film))}
    address = (await node.send("POST", "/uploads", USER, headers=lengths)).headers["location"]
    headers = {**VERSION, **OCTETS, "Upload-Offset": "0"}
    with killing(signal.SIGKILL):
        answer = await node.send("PATCH", address, USER, headers=headers, content=clips.film)
    assert (answer.status_code, answer.json()["code"]) == (503, "not_inspected")
    offset = (await node.send("HEAD", address, USER, headers=VERSION)).headers["upload-offset"]
    assert int(offset) == len(clips.film) - 1
    headers["Upload-Offset"] = offset
    last = await node.send("PATCH", address, USER, headers=headers, content=clips.film[-1:])
    assert (last.status_code, last.headers["upload-offset"]) == (204, str(len(clips.film)))


# --- turns ------------------------------------------------------------------------------------------------------


async def test_nobody_waits_for_a_turn_for_ever_and_a_turn_given_up_is_the_next_ones(film: Path, pipe: Path) -> None:
    probing = Probing(wait_s=0.1)
    hanging = [asyncio.ensure_future(probing.look_into(pipe, "", owner)) for owner in ("a", "b")]
    await eventually(lambda: len(inspectors()) == 2)
    with pytest.raises(NotInspected, match="waiting"):
        await probing.look_into(film, "", "c")
    for one in hanging:
        one.cancel()
    await asyncio.wait(hanging)
    found = await asyncio.gather(*(probing.look_into(film, "", owner) for owner in ("a", "b")))
    assert [one.width for one in found] == [160, 160]


@pytest.mark.settings(uploads_per_user=2)
async def test_one_upload_more_than_a_user_may_have_at_once_is_refused(node: RunningNode, clips: Clips) -> None:
    going_on = asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield clips.film[:5000]
        await going_on.wait()
        yield clips.film[5000:]

    under_way = [asyncio.ensure_future(node.send("POST", PRACTICE, USER, content=slowly())) for _ in range(2)]
    inner = node.node
    assert inner
    await eventually(lambda: len(inner.space.under_way()) == 2)
    refused = await node.send("POST", PRACTICE, USER, content=clips.film)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_uploads")
    assert int(refused.headers["retry-after"]) > 0
    assert (await node.send("POST", PRACTICE, COURSE, content=clips.film)).status_code == 201
    going_on.set()
    assert [answer.status_code for answer in await asyncio.gather(*under_way)] == [201, 201]
    assert (await node.send("POST", PRACTICE, USER, content=clips.film)).status_code == 201
