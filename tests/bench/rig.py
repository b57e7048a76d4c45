"""The stack that is measured: real processes on their own ports, one uploaded video, a teacher and a student."""

import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import imageio_ffmpeg

from cloud_service.db import FILE
from shared.stack import Stack, StackSettings
from tests.processes import free_port
from tests.settings import UNLIMITED

POLL_S = 0.1
"""Not so often that asking takes the time of what is asked about."""
PASSWORD = secrets.token_urlsafe(16)


@dataclass
class Rig:
    stack: Stack
    vps: str
    cloud: str
    folder: Path
    teacher: dict[str, str]
    student: dict[str, str]
    course: str
    sections: str
    admin: dict[str, str]

    def add_lesson(self) -> str:
        answer = httpx.post(
            f"{self.vps}/api/sections/{self.sections}/lessons", json={"title": "Lesson"}, headers=self.teacher
        )
        lesson: str = answer.raise_for_status().json()["id"]
        return lesson

    def upload(self, film: Path, lesson: str | None = None, node: str | None = None) -> dict[str, Any]:
        with film.open("rb") as body:
            answer = httpx.post(
                f"{node or self.cloud}/videos",
                params={"lesson_id": lesson or self.add_lesson()},
                content=body,
                headers=self.teacher,
                timeout=300,
            )
        video: dict[str, Any] = answer.raise_for_status().json()
        return video

    def film(self, size: int) -> Path:
        """Made once."""
        path = self.folder / f"film-{size}.mp4"
        return path if path.exists() else make_film(path, size)

    def shown(self, video_id: str, node: str | None = None) -> dict[str, Any]:
        answer = httpx.get(f"{node or self.cloud}/videos/{video_id}", headers=self.teacher)
        video: dict[str, Any] = answer.raise_for_status().json()
        return video

    def wait_until_ready(self, video_id: str, node: str | None = None) -> None:
        """Until nothing more is made of it. Raises ValueError when it could not be."""
        with httpx.Client(base_url=node or self.cloud, headers=self.teacher) as asking:
            while (video := asking.get(f"/videos/{video_id}").raise_for_status().json())["status"] == "processing":
                time.sleep(POLL_S)
        if video["status"] != "ready":
            raise ValueError(video)

    @contextmanager
    def worker_asleep(self) -> Iterator[None]:
        """Nothing is made of videos inside: what there was to do before is waited for, the rest done afterwards."""
        while self._jobs():
            time.sleep(POLL_S)
        os.kill(self.pid("worker"), signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid("worker"), signal.SIGCONT)

    def _jobs(self) -> int:
        with closing(sqlite3.connect(self.folder / "node-1" / FILE)) as database:
            (count,) = database.execute("SELECT count(*) FROM jobs").fetchone()
        return int(count)

    def pid(self, service: str) -> int:
        return self.stack.processes[service].pid


def operate(stack: Stack, *arguments: str, typed: str = "") -> None:
    command = [sys.executable, "-m", "shared.cli", *arguments]
    subprocess.run(command, env=stack.environment(), input=f"{typed}\n", text=True, check=True, capture_output=True)


def make_film(path: Path, bytes_wanted: int) -> Path:
    """A real MP4 of at least this size: noise does not compress, and a `free` box, which players skip, fills up."""
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    source = ["-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=25", "-t", "5", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-loglevel", "error", "-y", *source, "-movflags", "+faststart", str(path)], check=True)
    missing = bytes_wanted - path.stat().st_size
    with path.open("ab") as file:
        file.write((missing).to_bytes(4, "big") + b"free")
        block = os.urandom(2**20)
        for start in range(8, missing, len(block)):
            file.write(block[: missing - start])
    return path


@contextmanager
def running_rig(folder: Path, nodes: int = 1) -> Iterator[Rig]:
    folder.mkdir(parents=True)
    ports = {name: str(free_port()) for name in ("VPS", "CLOUD", "SIMULATOR", "CATCHER", "CATCHER_SMTP")}
    os.environ |= {f"TOPTANK_{name}_PORT": port for name, port in ports.items()}
    os.environ |= {
        "TOPTANK_DATA_DIR": str(folder),
        "TOPTANK_FOLLOWERS_REQUIRED": "0",
        "TOPTANK_BCRYPT_COST": "4",
        **UNLIMITED,
        "TOPTANK_ACCESS_TOKEN_S": "7200",
        "TOPTANK_UPLOADS_PER_USER": "1000",
        "TOPTANK_PLAYBACKS_PER_MINUTE": "1000000",
        "TOPTANK_PLAYBACK_TIMES_OVER": "1000000000",
        "TOPTANK_LOG_LEVEL": "warning",
        "TOPTANK_TRUSTED_PROXIES": "127.0.0.1/32",  # so that one machine can be many
    }
    with Stack(StackSettings(), nodes) as stack:
        stack.start()
        yield _people_and_course(
            stack, f"http://127.0.0.1:{ports['VPS']}", f"http://127.0.0.1:{ports['CLOUD']}", folder
        )


def _people_and_course(stack: Stack, vps: str, cloud: str, folder: Path) -> Rig:
    api = httpx.Client(base_url=f"{vps}/api", timeout=30)
    run = secrets.token_hex(3)

    def headers(answer: httpx.Response) -> dict[str, str]:
        return {"Authorization": f"Bearer {answer.raise_for_status().json()['access_token']}"}

    def post(path: str, body: object, who: dict[str, str]) -> str:
        made: str = api.post(path, json=body, headers=who).raise_for_status().json()["id"]
        return made

    portrait = folder / "portrait.png"
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    subprocess.run(
        [ffmpeg, "-loglevel", "error", "-y", "-f", "lavfi", "-i", "testsrc", "-frames:v", "1", str(portrait)],
        check=True,
    )
    form = {"name": "Mona", "username": f"mona.{run}", "phone": f"+2010{secrets.randbelow(10**8):08}"}
    form["password"] = PASSWORD
    teacher = headers(api.post("/auth/register/teacher", data=form, files={"image": portrait.read_bytes()}))
    person = {"name": "Sami", "username": f"sami.{run}", "email": f"sami.{run}@example.com", "password": PASSWORD}
    student = headers(api.post("/auth/register", json=person))
    api.put(f"/teachers/{form['username']}/follow", headers=student).raise_for_status()
    course = post("/courses", {"title": "Course", "price": {"amount": 0, "currency": "EGP"}}, teacher)
    section = post(f"/courses/{course}/sections", {"title": "Section"}, teacher)
    operate(stack, "create-admin", f"admin.{run}", f"admin.{run}@example.com", typed=PASSWORD)
    admin = headers(api.post("/auth/login", json={"login": f"admin.{run}", "password": PASSWORD}))
    rig = Rig(stack, vps, cloud, folder, teacher, student, course, section, admin)
    rig.add_lesson()
    api.post(f"/courses/{course}/submit", headers=teacher).raise_for_status()
    api.post(f"/admin/courses/{course}/approve", headers=admin).raise_for_status()
    api.post(f"/courses/{course}/enroll", headers=student).raise_for_status()
    return rig
