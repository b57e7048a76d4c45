"""A kernel that cannot hide files from what looks into videos: said, or refused, by the node and by its worker."""

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT_LANDLOCK = """
import ctypes, runpy, struct, sys
from cloud_service.media import confined
steps = [(confined.LOAD, 0, 0, confined.NUMBER_AT), (confined.EQUAL, 0, 1, confined.CREATE_RULESET)]
steps += [(confined.RETURN, 0, 0, confined.NOT_THERE), (confined.RETURN, 0, 0, confined.ALLOW)]
code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
libc, rest = ctypes.CDLL(None), [ctypes.c_ulong(0)] * 2
assert libc.prctl(confined.PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), *rest) == 0
filters = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(code)))
assert libc.prctl(confined.PR_SET_SECCOMP, ctypes.c_ulong(2), filters, *rest) == 0
runpy.run_module(sys.argv[1], run_name="__main__")
"""


@pytest.mark.parametrize("process", ["cloud_service", "cloud_service.processing"])
@pytest.mark.parametrize("required", [True, False])
def test_a_kernel_without_landlock_is_not_passed_over(
    process: str, required: bool, tmp_path: Path, secrets_folder: Path
) -> None:
    """Neither starts in a folder that is none; by then it has said what the kernel lacks."""
    (tmp_path / "file").write_text("")
    environment = {
        "TOPTANK_ENVIRONMENT": "local",
        "TOPTANK_DATA_DIR": str(tmp_path / "file"),
        "TOPTANK_WORKER_ALIVE_FILE": str(tmp_path / "file" / "alive"),
        "TOPTANK_CONFINEMENT_REQUIRED": str(required),
        "TOPTANK_NODE_KEY_FILE": str(secrets_folder / "node_key"),
        "TOPTANK_VPS_PUBLIC_KEY_FILE": str(secrets_folder / "vps_public_key"),
    }
    ran = subprocess.run(
        [sys.executable, "-I", "-c", WITHOUT_LANDLOCK, process],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    said = ran.stdout + ran.stderr
    assert ran.returncode == 1
    assert "this kernel has no Landlock" in said
    assert ("TOPTANK_CONFINEMENT_REQUIRED asks for" in said) == required
    assert ("cannot be used" in said) != required
