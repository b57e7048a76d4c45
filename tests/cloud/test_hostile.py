"""The whole corpus, and valid files with some bytes changed: each ends as it must, and reaches nothing else."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator

import imageio_ffmpeg
import pytest

from cloud_service.media.confined import landlock_version
from cloud_service.media.containers import HEAD_BYTES, media_type_of
from tests.clips import Clips
from tests.cloud.inspecting import Inspector
from tests.corpus import CORPUS
from tests.corpus.entry import NO_CONTAINER, Hostile
from tests.corpus.playlists import hls
from tests.corpus.trap import Trap, set_trap


@pytest.fixture(scope="module")
def trap(clips: Clips) -> Iterator[Trap]:
    """The canary is beside what is uploaded, where every playlist would find it."""
    canary = clips.folder / "canary.ts"
    canary.write_bytes(clips.container("ts"))
    with set_trap(canary) as trap:
        yield trap


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    with Inspector() as inspector:
        yield inspector


def test_there_are_enough_of_them() -> None:
    assert len({entry.name for entry in CORPUS}) == len(CORPUS) >= 40


def test_who_does_not_beware_walks_into_the_trap(clips: Clips, trap: Trap) -> None:
    """Or it would tell nothing that nobody else does."""
    path = clips.folder / "list"
    path.write_bytes(hls(trap))
    careless = ("-f", "hls", "-extension_picky", "0", "-protocol_whitelist", "file,http,tcp")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "quiet", *careless, "-i", path, "-f", "null", "-"]
    visits = set[str]()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL) as decoding:
        while visits != {"canary", "listener"} and decoding.poll() is None:
            visits |= set(trap.visits())
            time.sleep(0.02)
        decoding.kill()
    assert visits | set(trap.visits()) == {"canary", "listener"}


@pytest.mark.parametrize("entry", CORPUS, ids=lambda entry: entry.name)
def test_a_hostile_file_ends_as_it_must(entry: Hostile, clips: Clips, trap: Trap, inspector: Inspector) -> None:
    content = entry.make(clips, trap)
    path = clips.folder / "upload"
    path.write_bytes(content)
    found = inspector.look(path)
    reason = found.get("reason", "")
    assert entry.reason in reason
    assert bool(entry.reason) == bool(reason), found
    assert trap.visits() == []
    assert (media_type_of(content[:HEAD_BYTES]) is None) == (entry.reason == NO_CONTAINER)


TAKEN_OVER = """
import os, socket, sys
from cloud_service.uploads import inspection

def attempted(act):
    try:
        act()
    except OSError as error:
        return type(error).__name__
    return "done"

canary, host, port = sys.argv[2], "127.0.0.1", int(sys.argv[3])
inspection.look = lambda upload: {
    "upload": attempted(lambda: open(upload, "rb").read()),
    "canary": attempted(lambda: open(canary, "rb").read()),
    "folder": attempted(lambda: os.listdir(os.path.dirname(canary))),
    "passwords": attempted(lambda: open("/etc/passwd").read()),
    "writing": attempted(lambda: open(upload, "ab").write(b"x")),
    "network": attempted(lambda: socket.create_connection((host, port))),
    "process": attempted(os.fork),
}
inspection.main(sys.argv[1])
"""


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_a_decoder_that_was_taken_over_has_the_upload_and_nothing_else(clips: Clips, trap: Trap) -> None:
    path = clips.folder / "upload"
    path.write_bytes(clips.film)
    command = [sys.executable, "-c", TAKEN_OVER, str(os.getpid()), str(trap.canary), trap.listener.partition(":")[2]]
    question = json.dumps([str(path)])
    done = subprocess.run(command, input=question, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found.pop("upload") == "done"
    assert set(found.values()) == {"PermissionError"}, found
    assert trap.visits() == []


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "webm", "avi", "ts"])
def test_changed_bytes_end_in_a_word(ending: str, clips: Clips, inspector: Inspector) -> None:
    """Taken, or refused with a reason; it never crashes, hangs, or takes what is beyond the limits."""
    valid = clips.index_last if ending == "mp4" else clips.container(ending)
    path = clips.folder / "upload"
    for seed in range(40):
        path.write_bytes(changed(valid, random.Random(seed)))
        found = inspector.look(path)
        if not found.get("reason"):
            assert 0 <= found["duration_s"] <= 12 * 3600, seed
            assert min(found["width"], found["height"]) >= 16, seed
            assert max(found["width"], found["height"]) <= 8192, seed


def changed(valid: bytes, chance: random.Random) -> bytes:
    """Some bytes anywhere, more in the first and last part of the file, where its structure is; or a piece left out."""
    content = bytearray(valid)
    for _ in range(chance.choice((1, 3, 10, 40))):
        near = chance.choice((600, len(content) // 4, len(content)))
        at = chance.randrange(near)
        content[chance.choice((at, -1 - at))] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, at % 256))
    if chance.random() < 0.2:
        at = chance.randrange(HEAD_BYTES, len(content))
        del content[at : at + chance.randrange(1, 400)]
    return bytes(content)
