"""What a confined process cannot do: see other files, reach anybody, start others, outlive its parent, take a lot."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from cloud_service.media.confined import Limits, landlock_version, launching
from cloud_service.processing.ffmpeg import program
from tests.clips import H264, PICTURE, Clips

LIMITS = Limits(memory_bytes=2**31, cpu_s=60, file_bytes=2**20)
HAS_LANDLOCK = pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
TRYING = """
import ctypes, os, platform, resource, signal, socket, subprocess, sys, threading
from pathlib import Path
from cloud_service.media import confined
from cloud_service.media.confined import CALLS, Limits, confine
seen, folder, hidden = map(Path, sys.argv[1:4])
parent = os.getppid()
def fails(what):
    try:
        what()
    except OSError as error:
        return type(error).__name__
    return "done"
def call(number, *arguments):
    if ctypes.CDLL(None, use_errno=True).syscall(ctypes.c_long(number), *arguments) < 0:
        raise OSError(ctypes.get_errno(), "")
if len(sys.argv) > 4:
    confined.landlock_version = lambda: int(sys.argv[4])
confine(Limits(memory_bytes=2**31, cpu_s=60, file_bytes=2**20), reads=[seen], writes=[folder])
"""


@pytest.fixture
def places(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A file that it may read, a folder that it may write in, and a file that is none of its business."""
    folder = tmp_path / "folder"
    folder.mkdir()
    seen, hidden = tmp_path / "seen", tmp_path / "hidden"
    for file in (seen, hidden):
        file.write_text(file.name)
    return seen, folder, hidden


def tried(places: tuple[Path, Path, Path], *attempts: str, landlock: int | None = None) -> list[str]:
    """What comes of each expression in a confined process, as on a kernel with that version of Landlock."""
    code = TRYING + "\n".join(f"print(fails(lambda: {attempt}))" for attempt in attempts)
    ran = subprocess.run(
        [sys.executable, "-I", "-c", textwrap.dedent(code), *map(str, places), *([str(landlock)] if landlock else [])],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


@HAS_LANDLOCK
def test_it_sees_the_files_it_was_given_and_no_other(places: tuple[Path, Path, Path]) -> None:
    assert (
        tried(places, "seen.read_text()", "(folder / 'new').write_text('x')", "(folder / 'new').unlink()")
        == ["done"] * 3
    )
    denied = (
        "hidden.read_text()",
        "open('/etc/passwd')",
        "os.listdir('/')",
        "hidden.write_text('x')",
        "hidden.unlink()",
    )
    assert tried(places, *denied) == ["PermissionError"] * len(denied)
    others = (
        "seen.write_text('x')",
        "seen.rename(folder / 'seen')",
        "os.symlink('/etc', folder / 'etc')",
        "os.mkdir(folder / 'f')",
    )
    assert tried(places, *others) == ["PermissionError"] * len(others)
    assert [path.read_text() for path in (places[0], places[2])] == ["seen", "hidden"]


ON_FILES = (
    "os.truncate(hidden, 0)",
    "os.truncate(seen, 0)",
    "os.open(seen, os.O_RDONLY | os.O_TRUNC)",
    "os.open(hidden, os.O_ACCMODE | os.O_TRUNC)",
    "hidden.chmod(0o777)",
    "os.fchmod(0, 0o777)",
    "call(452, -100, bytes(hidden), 0o777, 0)",  # fchmodat2
    "os.chown(hidden, os.getuid(), -1)",
    "os.fchown(0, os.getuid(), -1)",
    "os.utime(hidden, (0, 0))",
    "os.setxattr(hidden, 'user.x', b'')",
    "os.getxattr(hidden, 'user.x')",
    "os.listxattr(hidden)",
    "os.removexattr(hidden, 'user.x')",
)


@HAS_LANDLOCK
@pytest.mark.parametrize("landlock", [None, 2])
def test_it_changes_nothing_about_files_that_it_may_not_write(
    places: tuple[Path, Path, Path], landlock: int | None
) -> None:
    """Landlock knows nothing of most of these, and its second version not of emptying files."""
    before = [path.stat() for path in (places[0], places[2])]
    came_of = tried(places, *ON_FILES, landlock=landlock)
    assert dict(zip(ON_FILES, came_of, strict=True)) == {
        attempt: "OSError" if "452" in attempt else "PermissionError" for attempt in ON_FILES
    }
    now = [path.stat() for path in (places[0], places[2])]
    assert [(file.st_size, file.st_mode, file.st_ctime_ns) for file in now] == [
        (file.st_size, file.st_mode, file.st_ctime_ns) for file in before
    ]
    assert tried(places, "(folder / 'new').open('w+').truncate(5)", landlock=landlock) == ["done"]


ON_PROCESSES = {
    "os.nice(1)": "PermissionError",
    "os.setpriority(os.PRIO_PROCESS, parent, 19)": "PermissionError",
    "os.setpriority(os.PRIO_USER, 0, 19)": "PermissionError",
    "os.sched_setaffinity(parent, {0})": "PermissionError",
    "os.sched_setaffinity(0, os.sched_getaffinity(0))": "done",
    "os.sched_setscheduler(parent, os.SCHED_IDLE, os.sched_param(0))": "PermissionError",
    "resource.prlimit(parent, resource.RLIMIT_NOFILE)": "PermissionError",
    "resource.getrlimit(resource.RLIMIT_NOFILE)": "done",
    "os.pidfd_open(parent)": "PermissionError",
    "call(CALLS[platform.machine()].tgkill, parent, parent, 0)": "PermissionError",
    "signal.pthread_kill(threading.get_ident(), 0)": "done",
    "call(CALLS[platform.machine()].prctl, 1, 0)": "PermissionError",  # PR_SET_PDEATHSIG
    "os.memfd_create('x')": "PermissionError",
    "call({'x86_64': 29, 'aarch64': 194}[platform.machine()], 0, 4096, 0o1600)": "PermissionError",  # shmget
    "call({'x86_64': 64, 'aarch64': 190}[platform.machine()], 0, 1, 0o1600)": "PermissionError",  # semget
    "call({'x86_64': 68, 'aarch64': 186}[platform.machine()], 0, 0o1600)": "PermissionError",  # msgget
    "call({'x86_64': 200, 'aarch64': 130}[platform.machine()], parent, 0)": "PermissionError",  # tkill
    "call({'x86_64': 240, 'aarch64': 180}[platform.machine()], b'x', 0o102, 0o600, 0)": "PermissionError",  # mq_open
}


def test_it_does_nothing_to_other_processes(places: tuple[Path, Path, Path]) -> None:
    assert dict(zip(ON_PROCESSES, tried(places, *ON_PROCESSES), strict=True)) == ON_PROCESSES


def test_it_reaches_nobody(places: tuple[Path, Path, Path]) -> None:
    kinds = ("AF_INET, socket.SOCK_STREAM", "AF_INET, socket.SOCK_DGRAM", "AF_INET6, socket.SOCK_STREAM", "AF_UNIX")
    sockets = [f"socket.socket(socket.{kind})" for kind in kinds]
    others = ("socket.socketpair()", "os.kill(os.getppid(), 0)")
    assert tried(places, *sockets, *others) == ["PermissionError"] * 6


def test_it_starts_no_process_but_may_have_threads(places: tuple[Path, Path, Path]) -> None:
    denied = ("os.fork()", "subprocess.run([sys.executable, '-V'])", "os.posix_spawn(sys.executable, ['python'], {})")
    assert tried(places, *denied) == ["PermissionError"] * len(denied)
    assert tried(places, "threading.Thread(target=print, args=['ran']).start()") == ["ran", "done"]


@HAS_LANDLOCK
def test_it_becomes_no_other_program(places: tuple[Path, Path, Path]) -> None:
    assert tried(places, "os.execv('/bin/sh', ['sh', '-c', 'echo escaped'])") == ["PermissionError"]


def test_what_it_takes_is_bounded(places: tuple[Path, Path, Path]) -> None:
    assert tried(places, "(folder / 'large').write_bytes(bytes(2**21))") == ["OSError"]
    assert (places[1] / "large").stat().st_size == 2**20
    bomb = f"{TRYING}\nbytearray(2**32)"
    died = subprocess.run(
        [sys.executable, "-I", "-c", bomb, *map(str, places)], capture_output=True, text=True, check=False
    )
    assert "MemoryError" in died.stderr


def launched(clips: Clips, folder: Path, *arguments: str, limits: Limits = LIMITS) -> subprocess.CompletedProcess[str]:
    clips.film  # noqa: B018 - makes the file
    command = launching(
        program(), "-hide_banner", *arguments, limits=limits, reads=[clips.folder / "film.mp4"], writes=[folder]
    )
    return subprocess.run(command, capture_output=True, text=True, check=False, env={}, timeout=60)


@HAS_LANDLOCK
def test_ffmpeg_sees_its_input_alone(clips: Clips, tmp_path: Path) -> None:
    film, output = str(clips.folder / "film.mp4"), str(tmp_path / "out.mp4")
    made = launched(clips, tmp_path, "-i", film, "-c", "copy", output)
    assert made.returncode == 0, made.stderr
    other = tmp_path.parent / f"{tmp_path.name}-other.mp4"
    other.write_bytes(clips.film)
    assert "Permission denied" in launched(clips, tmp_path, "-i", str(other), "-c", "copy", output, "-y").stderr
    assert "Permission denied" in launched(clips, tmp_path, "-i", film, "-c", "copy", f"{other}.mp4").stderr


def test_ffmpeg_has_no_network(clips: Clips, tmp_path: Path) -> None:
    for url in ("http://127.0.0.1:9/", "tcp://127.0.0.1:9", "udp://127.0.0.1:9", "unix:/tmp/x"):
        assert "Operation not permitted" in launched(clips, tmp_path, "-i", url, str(tmp_path / "out.mp4")).stderr


def test_an_ffmpeg_that_takes_too_much_memory_or_disk_dies(clips: Clips, tmp_path: Path) -> None:
    huge = (
        "-f",
        "lavfi",
        "-i",
        "testsrc2=size=8192x8192:rate=1",
        "-t",
        "2",
        "-c:v",
        "rawvideo",
        str(tmp_path / "out.nut"),
    )
    small = Limits(memory_bytes=2**28, cpu_s=60, file_bytes=2**30)
    assert launched(clips, tmp_path, *huge, limits=small).returncode != 0
    assert launched(clips, tmp_path, *huge, "-y").returncode == -signal.SIGXFSZ
    assert (tmp_path / "out.nut").stat().st_size <= LIMITS.file_bytes


def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    endless = ("-re", *PICTURE, *H264, str(tmp_path / "out.mp4"))
    starting = f"""
import subprocess, time
from pathlib import Path
from cloud_service.media.confined import Limits, launching
child = subprocess.Popen(
    launching(Path({str(program())!r}), *{endless!r}, limits=Limits(2**32, 60, 2**30), writes=[{str(tmp_path)!r}]),
    start_new_session=True, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-I", "-c", starting], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    deadline = time.monotonic() + 30
    while not (tmp_path / "out.mp4").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(child, signal.SIGSTOP)  # even one that hangs
    parent.kill()
    parent.wait()
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_child_whose_parent_is_gone_already_does_not_begin(tmp_path: Path) -> None:
    command = launching(program(), "-version", limits=LIMITS)
    orphan = subprocess.run(
        [
            sys.executable,
            "-I",
            "-c",
            "import subprocess, sys; sys.exit(subprocess.run(sys.argv[1:]).returncode)",
            *command,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (orphan.returncode, orphan.stdout) == (256 - signal.SIGKILL, "")
