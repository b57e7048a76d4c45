"""Shutting a process in before it touches what strangers made: few files, no network, no children, all use bounded.

Nor may it act upon what it cannot open: files by their path, and processes of the same user, are out of its reach.

`python -I -m cloud_service.media.confined SPEC PROGRAM [ARGUMENTS]` becomes PROGRAM, so confined and ended by the
kernel with whoever started it; SPEC is `launching`'s. A process that confines itself calls `confine`.

Files are Landlock's business (https://docs.kernel.org/userspace-api/landlock.html, Linux 5.13), calls are seccomp's
(https://man7.org/linux/man-pages/man2/seccomp.2.html). Where the kernel has no Landlock the rest still holds.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import struct
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 1, 22, 38
CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
VERSION, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR, REMOVE_FILE, MAKE_REG, TRUNCATE = (1 << bit for bit in (0, 1, 2, 3, 5, 8, 14))
OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many kinds of access Landlock knows, from which of its versions on."""
ALL_TCP, ALL_SCOPES = 0b11, 0b11
LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
LOADERS = ("lib/ld-*", "lib64/ld-*", "lib/*/ld-linux*", "usr/lib/ld-*", "usr/lib64/ld-*", "usr/lib/*/ld-linux*")

CLONE_THREAD = 0x10000
DENY, NOT_THERE = 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
KILL, ALLOW = 0x80000000, 0x7FFF0000
LOAD, EQUAL, AT_LEAST, ANY_BIT, KEEP_BITS, RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
X32 = 0x40000000
NOT_KNOWN = 450
"""From this number on, the same on all machines, calls are newer than the lists here: there are none, as far as it can
tell. The first of them that act upon files by path are fchmodat2, setxattrat and file_setattr."""
FAILED = 126
"""The code of a process that ended because it could not be confined, or its program not be started."""


@dataclass(frozen=True, slots=True)
class _Calls:
    """A machine's number for itself and for calls (its asm/unistd.h).

    Of pairs the second is which argument, from 0, says what it is about: how to open a file, whose process it is.
    """

    architecture: int
    clone: int
    prctl: int
    tgkill: int
    opening: tuple[tuple[int, int], ...]
    of_processes: tuple[tuple[int, int], ...]
    denied: tuple[int, ...]


CLONE3, OPENAT2 = 435, 437
"""What they are to do cannot be seen from outside; what they replaced is tried next."""
CALLS = {
    "x86_64": _Calls(
        architecture=0xC000003E,
        clone=56,
        prctl=157,
        tgkill=234,
        opening=((2, 1), (257, 2)),  # open, openat
        of_processes=((203, 0), (302, 0)),  # sched_setaffinity, prlimit64
        denied=(
            # socket, socketpair, fork, vfork, kill, ptrace, pivot_root, chroot, mount, umount2, init_module,
            # kexec_load, add_key, request_key, keyctl, unshare, perf_event_open, open_by_handle_at, setns,
            # process_vm_readv and _writev, finit_module, bpf, userfaultfd, pidfd_send_signal, io_uring_setup, _enter
            # and _register, pidfd_getfd
            *(41, 53, 57, 58, 62, 101, 155, 161, 165, 166, 175, 246, 248, 249, 250, 272, 298, 304, 308, 310, 311),
            *(313, 321, 323, 424, 425, 426, 427, 438),
            # truncate, chmod, fchmod, chown, fchown, lchown, utime, utimes, fchownat, futimesat, fchmodat, utimensat
            *(76, 90, 91, 92, 93, 94, 132, 235, 260, 261, 268, 280),
            *range(188, 200),  # setxattr to fremovexattr
            # rt_sigqueueinfo, setpriority, sched_setparam, sched_setscheduler, tkill, ioprio_set, migrate_pages,
            # move_pages, rt_tgsigqueueinfo, kcmp, sched_setattr, pidfd_open, process_madvise, process_mrelease
            *(129, 141, 142, 144, 200, 251, 256, 279, 297, 312, 314, 434, 440, 448),
            # shmget, shmat, shmctl, semget, semop, semctl, shmdt, msgget to msgctl, semtimedop, mq_open to
            # mq_getsetattr, memfd_create, execveat, memfd_secret
            *(*range(29, 32), *range(64, 72), 220, *range(240, 246), 319, 322, 447),
        ),
    ),
    "aarch64": _Calls(
        architecture=0xC00000B7,
        clone=220,
        prctl=167,
        tgkill=131,
        opening=((56, 2),),
        of_processes=((122, 0), (261, 0)),
        denied=(
            # the same, each line in the order of its numbers here; much of the old is not there, as fork and chmod
            *(39, 40, 41, 51, 97, 104, 105, 117, 129, 198, 199, 217, 218, 219, 241, 265, 268, 270, 271, 273, 280, 282),
            *(424, 425, 426, 427, 438),
            *(45, 52, 53, 54, 55, 88),
            *range(5, 17),
            *(30, 118, 119, 130, 138, 140, 238, 239, 240, 272, 274, 434, 440, 448),
            *(*range(180, 198), 279, 281, 447),
        ),
    ),
}


class CannotConfine(Exception):
    """The kernel would not; nothing that strangers made may be touched."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`file_bytes` is how large a file may become, `memory_bytes` is of addresses, `cpu_s` of all its threads."""

    memory_bytes: int
    cpu_s: int
    file_bytes: int
    open_files: int = 64
    niceness: int = 19


def landlock_version() -> int:
    """0 where the kernel has none."""
    return max(0, _call(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION))


def knows_calls() -> bool:
    """Whether there is a list of this machine's calls; without one nothing is confined, and nothing should run."""
    return platform.machine() in CALLS and struct.calcsize("P") == 8


def confine(
    limits: Limits, *, reads: Iterable[Path] = (), writes: Iterable[Path] = (), runs: Iterable[Path] = ()
) -> None:
    """From here on, for good: `reads` are files and folders, `writes` folders, `runs` programs that it may become.

    Raises CannotConfine; a kernel without Landlock is no reason, `landlock_version` tells.
    """
    _limit(limits)
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    if version := landlock_version():
        _restrict_files(version, reads, writes, runs)
    _restrict_calls()


def die_with(parent: int) -> None:
    """The kernel ends this process with the thread that started it, which is one of the process `parent`."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was gone before it could be said
        os.kill(os.getpid(), signal.SIGKILL)


def launching(
    program: Path, *arguments: str, limits: Limits, reads: Iterable[Path] = (), writes: Iterable[Path] = ()
) -> list[str]:
    """The command that starts `program` confined, as a child of this process that does not outlive it."""
    spec = {
        "parent": os.getpid(),
        "limits": asdict(limits),
        "reads": [str(path) for path in reads],
        "writes": [str(path) for path in writes],
    }
    return [sys.executable, "-I", "-m", __name__, json.dumps(spec), str(program), *arguments]


def _limit(limits: Limits) -> None:
    os.umask(0o077)
    os.nice(limits.niceness)
    if os.getsid(0) == os.getpid():
        # Linux may share processors out among sessions before it looks at who is nice in each (sched(7), autogroup).
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(limits.niceness))
    # When memory runs out, it is this one that the kernel should end, and not whoever started it.
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")
    for kind, most in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.open_files),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))


def _restrict_files(version: int, reads: Iterable[Path], writes: Iterable[Path], runs: Iterable[Path]) -> None:
    """Whatever Landlock of this kernel can deny is denied, but for these."""
    known = (1 << max(bits for since, bits in FILE_RIGHTS.items() if since <= version)) - 1
    attributes = struct.pack("=QQQ", known, ALL_TCP, ALL_SCOPES)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    ruleset = _call(CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    if ruleset < 0:
        raise CannotConfine(f"Landlock: {os.strerror(ctypes.get_errno())}")
    for path in reads:
        _allow(ruleset, path, (READ_FILE | READ_DIR) & known)
    for path in writes:
        _allow(ruleset, path, (READ_FILE | READ_DIR | WRITE_FILE | TRUNCATE | MAKE_REG | REMOVE_FILE) & known)
    for path in runs:
        _allow(ruleset, path, EXECUTE | READ_FILE)
    if _call(RESTRICT_SELF, ctypes.c_int(ruleset), 0) < 0:
        raise CannotConfine(f"Landlock: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)


def _allow(ruleset: int, path: Path, access: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError as error:
        raise CannotConfine(f"{path}: {error.strerror}") from None
    try:
        rule = struct.pack("=Qi", access if path.is_dir() else access & OF_FILES, handle)
        if _call(ADD_RULE, ctypes.c_int(ruleset), PATH_BENEATH, rule, 0) < 0:
            raise CannotConfine(f"{path}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(handle)


Step = tuple[int, int, int, int]
"""Of a filter: what to do, how many steps to leave out if it is so and if not, and with which number."""


def _restrict_calls() -> None:
    """No new sockets of any kind, no processes beside it; threads there may be."""
    if not knows_calls():
        raise CannotConfine(f"no list of calls for {platform.machine()}")
    calls = CALLS[platform.machine()]
    program: list[Step] = [(LOAD, 0, 0, ARCHITECTURE_AT), (EQUAL, 1, 0, calls.architecture), (RETURN, 0, 0, KILL)]
    program += [(LOAD, 0, 0, NUMBER_AT), (AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    program += [(AT_LEAST, 0, 1, NOT_KNOWN), (RETURN, 0, 0, NOT_THERE)]
    for number in calls.denied:
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, DENY)]
    for number in (CLONE3, OPENAT2):
        program += [(EQUAL, 0, 1, number), (RETURN, 0, 0, NOT_THERE)]
    for number, about in calls.of_processes:
        program += _judged(number, about, (EQUAL, 1, 0, 0))  # 0 is itself
    for number, about in calls.opening:  # Landlock before its third version lets it empty what it may only read
        reading, any_way = os.O_TRUNC | os.O_RDONLY, os.O_TRUNC | os.O_ACCMODE
        program += _judged(number, about, (KEEP_BITS, 0, 0, any_way), (EQUAL, 1, 0, reading), (EQUAL, 0, 1, any_way))
    program += _judged(calls.prctl, 0, (EQUAL, 0, 1, PR_SET_PDEATHSIG))  # it would outlive who started it
    program += _judged(calls.tgkill, 0, (EQUAL, 1, 0, os.getpid()))
    program += _judged(calls.clone, 0, (ANY_BIT, 1, 0, CLONE_THREAD))
    program += [(RETURN, 0, 0, ALLOW)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    _prctl(PR_SET_SECCOMP, 2, ctypes.create_string_buffer(struct.pack("@HP", len(program), ctypes.addressof(code))))


def _judged(number: int, argument: int, *question: Step) -> list[Step]:
    """The call is denied, unless `question` about one of its arguments (32 bits of it) leaves that step out."""
    answer = [(LOAD, 0, 0, ARGUMENTS_AT + 8 * argument), *question, (RETURN, 0, 0, DENY), (RETURN, 0, 0, ALLOW)]
    return [(EQUAL, 0, len(answer), number), *answer]


def _call(number: int, *arguments: object) -> int:
    """The system call's answer, -1 with `ctypes.get_errno()`."""
    return int(_libc().syscall(ctypes.c_long(number), *arguments))


def _prctl(option: int, *arguments: object) -> None:
    """Raises CannotConfine."""
    words = [*(ctypes.c_ulong(word) if isinstance(word, int) else word for word in arguments)]
    words += [ctypes.c_ulong(0)] * (4 - len(words))
    if _libc().prctl(option, *words) != 0:
        raise CannotConfine(f"prctl {option}: {os.strerror(ctypes.get_errno())}")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _needed_to_start() -> tuple[list[Path], list[Path]]:
    """Libraries to be read, and what loads them, which has to be run."""
    loaders = {loader.resolve() for pattern in LOADERS for loader in Path("/").glob(pattern)}
    return [path for path in map(Path, LIBRARIES) if path.exists()], sorted(loaders)


def main(spec: str, program: str, arguments: Sequence[str]) -> None:
    told = json.loads(spec)
    die_with(told["parent"])
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(ignored, signal.SIG_DFL)  # Python ignores them, and what it becomes would too
    libraries, loaders = _needed_to_start()
    try:
        confine(
            Limits(**told["limits"]),
            reads=[*map(Path, told["reads"]), *libraries],
            writes=map(Path, told["writes"]),
            runs=[Path(program), *loaders],
        )
        os.execve(program, [program, *arguments], {})
    except (CannotConfine, OSError) as error:
        sys.stderr.write(f"not started: {error}\n")
        sys.exit(FAILED)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
