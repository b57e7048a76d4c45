"""`toptank demo`: buy and watch a course on a running stack over its public APIs, and be refused where one should be.

Needs nothing but the two URLs and a way to run the operator's commands on the VPS. Exits 0 only
if every step went as it must.
"""

import argparse
import hashlib
import os
import secrets
import shlex
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

RANGE_BYTES = 256 * 1024
STOPPED_WITHIN_S = 2.0
PROCESSED_WITHIN_S = 300
PASSWORD = secrets.token_urlsafe(16)


class DemoFailed(Exception):
    """Something was not as it must be; the message says what."""


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def chapter(text: str) -> None:
    print(f"\n{text}", flush=True)


def require(holds: bool, what: str) -> None:
    if not holds:
        raise DemoFailed(what)


def expect(response: httpx.Response, status: int, code: str | None = None) -> Any:
    """The answer's JSON, when it has this status and, for a refusal, this code."""
    problem = response.headers.get("content-type", "").startswith("application/problem+json")
    got = response.json().get("code") if problem else None
    asked = f"{response.request.method} {response.request.url}"
    require(
        (response.status_code, got) == (status, code),
        f"{asked} answered {response.status_code} {got or ''}, not {status} {code or ''}",
    )
    return response.json() if response.content and not response.is_redirect else None


@dataclass
class Person:
    """Somebody signed in."""

    username: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


class Demo:
    def __init__(self, vps: str, cloud: str, operator: list[str], folder: Path) -> None:
        self.vps = httpx.Client(base_url=f"{vps}/api", timeout=30, trust_env=False)
        self.cloud = httpx.Client(base_url=cloud, timeout=120, trust_env=False)
        self.operator = operator
        self.folder = folder
        self.run = secrets.token_hex(3)

    def play(self) -> None:
        chapter("A video and a teacher")
        film = self.make_film()
        teacher = self.register_teacher()
        course, lesson = self.draft_course(teacher)

        chapter("15,000 followers")
        student = self.register_student("Sami Adel")
        self.refuse_one_follower_short(teacher, lesson, film)
        self.follow(student, teacher)

        chapter("Upload and publication")
        video = self.upload(teacher, lesson, film)
        admin = self.publish(teacher, course)
        self.wait_for_renditions(teacher, video["id"])

        chapter("Buy and watch")
        stream = f"/videos/{video['id']}/stream"
        expect(self.cloud.get(stream), 401, "not_authenticated")
        say("without a token: refused (401)")
        expect(self.cloud.get(stream, headers=student.headers), 403, "key_required")
        say("without a key: refused (403)")
        uri, _ = self.buy(student, course)
        self.watch(student, uri, film)

        chapter("A refund")
        regretful = self.register_student("Nour Fahmy")
        uri, payment = self.buy(regretful, course)
        self.watch(regretful, uri, film)
        self.refund(admin, payment, regretful, uri)

        chapter("The teacher deletes the course")
        self.delete(teacher, student, course, uri)

    # --- the steps --------------------------------------------------------------------------------

    def make_film(self) -> Path:
        film = self.folder / "film.mp4"
        self.ffmpeg("-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=frequency=440",
                    "-t", "20", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(film))  # fmt: skip
        say(f"made a real MP4: 20 seconds, {film.stat().st_size:,} bytes")
        return film

    def ffmpeg(self, *arguments: str) -> None:
        program = os.environ.get("FFMPEG_PATH")
        if program is None:
            import imageio_ffmpeg

            program = imageio_ffmpeg.get_ffmpeg_exe()
        subprocess.run([program, "-hide_banner", "-loglevel", "error", "-y", *arguments], check=True)

    def register_teacher(self) -> Person:
        portrait = self.folder / "portrait.png"
        self.ffmpeg("-f", "lavfi", "-i", "testsrc=size=640x480", "-frames:v", "1", str(portrait))
        form = {
            "name": "Mona Darwish",
            "username": f"mona.{self.run}",
            "phone": f"+2010{secrets.randbelow(10**8):08}",
            "password": PASSWORD,
        }
        answer = expect(self.vps.post("/auth/register/teacher", data=form, files={"image": portrait.read_bytes()}), 201)
        user = answer["user"]
        fresh = (user["followers"], user["balance"]["amount"], user["verified"], user["courses"])
        require(fresh == (0, 0, False, []), f"a new teacher has {fresh}")
        say(f"{user['username']} registered as a teacher: 0 followers, balance 0, not verified, no courses")
        return Person(user["username"], answer["access_token"])

    def draft_course(self, teacher: Person) -> tuple[str, str]:
        draft = {
            "title": "Violin for beginners",
            "description": "First bow strokes.",
            "price": {"amount": 25_000, "currency": "EGP"},
        }
        course = expect(self.vps.post("/courses", json=draft, headers=teacher.headers), 201)["id"]
        kept = {"downloads_allowed": True}
        expect(self.vps.patch(f"/courses/{course}", json=kept, headers=teacher.headers), 200)
        section = expect(
            self.vps.post(f"/courses/{course}/sections", json={"title": "Week 1"}, headers=teacher.headers), 201
        )
        lesson = expect(
            self.vps.post(
                f"/sections/{section['id']}/lessons", json={"title": "Holding the bow"}, headers=teacher.headers
            ),
            201,
        )
        say("drafted a course for 250.00 EGP, with a section and a video lesson; buyers may keep its originals")
        return course, lesson["id"]

    def register_student(self, name: str) -> Person:
        username = f"{name.split()[0].lower()}.{self.run}"
        body = {"name": name, "username": username, "password": PASSWORD, "email": f"{username}@example.com"}
        answer = expect(self.vps.post("/auth/register", json=body), 201)
        self.operate("confirm-contact", username)
        say(f"{username} registered as a student, and the operator confirmed the e-mail")
        return Person(username, answer["access_token"])

    def refuse_one_follower_short(self, teacher: Person, lesson: str, film: Path) -> None:
        permission = expect(self.cloud.get("/uploads/permission", headers=teacher.headers), 200)
        self.operate("seed-followers", teacher.username, str(permission["required"] - 1))
        permission = expect(self.cloud.get("/uploads/permission", headers=teacher.headers), 200)
        require(permission["allowed"] is False, "uploading was allowed one follower short")
        say(f"{permission['followers']:,} of {permission['required']:,} followers: {permission['reason']}")
        with film.open("rb") as body:
            refused = self.cloud.post("/videos", params={"lesson_id": lesson}, content=body, headers=teacher.headers)
        expect(refused, 403, "upload_not_allowed")
        say("upload with one follower too few: refused (403)")

    def follow(self, student: Person, teacher: Person) -> None:
        followed = expect(self.vps.put(f"/teachers/{teacher.username}/follow", headers=student.headers), 200)
        require(followed["verified"], f"not verified with {followed['followers']} followers")
        permission = expect(self.cloud.get("/uploads/permission", headers=teacher.headers), 200)
        require(permission["allowed"] is True, "uploading was refused to a verified teacher")
        say(f"{student.username} follows: {followed['followers']:,} followers, the teacher is verified")

    def upload(self, teacher: Person, lesson: str, film: Path) -> dict[str, Any]:
        place = expect(self.vps.get(f"/lessons/{lesson}/upload-place", headers=teacher.headers), 200)
        with film.open("rb") as body:
            sent = self.cloud.post(place["uri"], content=body, headers=teacher.headers)
        video: dict[str, Any] = expect(sent, 201)
        require(video["sha256"] == _sha256(film), "the Cloud stored other bytes")
        say(f"uploaded to the Cloud: {video['duration_s']:.1f} s, {video['width']}x{video['height']}, same SHA-256")
        return video

    def wait_for_renditions(self, teacher: Person, video_id: str) -> None:
        deadline = time.monotonic() + PROCESSED_WITHIN_S
        while True:
            video = expect(self.cloud.get(f"/videos/{video_id}", headers=teacher.headers), 200)
            if video["status"] != "processing":
                break
            require(time.monotonic() < deadline, f"still processing after {PROCESSED_WITHIN_S} s; is a worker running?")
            time.sleep(0.2)
        require(video["status"] == "ready", f"not processed: {video['reason']}")
        made = ", ".join(f"{one['name']} {one['width']}x{one['height']}" for one in video["renditions"])
        say(f"processed for every device: {made}")

    def publish(self, teacher: Person, course: str) -> Person:
        """The admin who approves it."""
        expect(self.vps.post(f"/courses/{course}/submit", headers=teacher.headers), 200)
        admin = f"admin.{self.run}"
        self.operate("create-admin", admin, f"{admin}@example.com", typed=PASSWORD)
        login = expect(self.vps.post("/auth/login", json={"login": admin, "password": PASSWORD}), 200)
        approver = Person(admin, login["access_token"])
        expect(self.vps.post(f"/admin/courses/{course}/approve", headers=approver.headers), 200)
        say("submitted, and approved by an admin: the course is published")
        return approver

    def buy(self, student: Person, course: str) -> tuple[str, str]:
        """Where the video streams from, and the payment's id."""
        order = {"course_id": course, "provider": "simulator"}
        payment = expect(self.vps.post("/payments", json=order, headers=student.headers), 201)
        verify = f"/payments/{payment['id']}/verify"
        unpaid = expect(self.vps.post(verify, headers=student.headers), 200)
        require(unpaid["key"] is None, "a key was given before it was paid")
        expect(httpx.post(f"{payment['action']['url']}/paid", trust_env=False), 303)
        paid = expect(self.vps.post(verify, headers=student.headers), 200)
        require(paid["payment"]["status"] == "paid" and paid["key"] is not None, "paid, but no key")
        say(f"paid 250.00 EGP at the provider, verified: got a key and {len(paid['videos'])} video")
        return paid["videos"][0]["uri"], payment["id"]

    def watch(self, student: Person, uri: str, film: Path) -> None:
        size, digest, requests = film.stat().st_size, hashlib.sha256(), 0
        for start in range(0, size, RANGE_BYTES):
            wanted = f"bytes={start}-{start + RANGE_BYTES - 1}"
            part = self.cloud.get(uri, headers={**student.headers, "Range": wanted})
            require(part.status_code == httpx.codes.PARTIAL_CONTENT, f"{wanted} answered {part.status_code}")
            digest.update(part.content)
            requests += 1
        require(digest.hexdigest() == _sha256(film), "the streamed bytes are not the uploaded ones")
        say(f"streamed in {requests} ranges, byte for byte: SHA-256 {digest.hexdigest()[:16]}...")

    def refund(self, admin: Person, payment: str, student: Person, uri: str) -> None:
        expect(self.vps.post(f"/admin/payments/{payment}/refund", headers=admin.headers), 200)
        refunded_at = time.monotonic()
        while (answer := self.cloud.head(uri, headers=student.headers)).is_success:
            require(time.monotonic() - refunded_at < STOPPED_WITHIN_S, "watching went on after the refund")
        require(answer.status_code == httpx.codes.FORBIDDEN, f"after the refund: {answer.status_code}")
        say(f"refunded by an admin: refused (403) {time.monotonic() - refunded_at:.3f} s later")

    def delete(self, teacher: Person, student: Person, course: str, uri: str) -> None:
        expect(self.cloud.delete(f"/courses/{course}", headers=teacher.headers), 204)
        expect(self.cloud.get(uri, headers=student.headers), 404, "video_not_found")
        say("a deleted course: refused (404), although it was paid")
        keys = expect(self.vps.get("/keys", headers=student.headers), 200)["items"]
        require([key["status"] for key in keys] == ["void"], "the buyer's receipt is missing")
        say("the buyer keeps a void key as a receipt")

    def operate(self, *arguments: str, typed: str = "") -> None:
        """Run one of the operator's commands on the VPS."""
        done = subprocess.run(
            [*self.operator, *arguments], input=typed + "\n", capture_output=True, text=True, check=False
        )
        require(done.returncode == 0, f"toptank {arguments[0]} failed: {done.stderr.strip()[-500:]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(prog="toptank demo", description=__doc__)
    parser.add_argument("--vps", default=os.environ.get("TOPTANK_VPS_URL", "http://localhost:8000"))
    parser.add_argument("--cloud", default=os.environ.get("TOPTANK_CLOUD_URL", "http://localhost:8001"))
    parser.add_argument(
        "--operator",
        default=f"{sys.executable} -P -m shared.cli",
        help='how to run toptank on the VPS, e.g. "docker-compose exec -T vps toptank"',
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="toptank-demo-") as folder:
        try:
            Demo(arguments.vps, arguments.cloud, shlex.split(arguments.operator), Path(folder)).play()
        except DemoFailed as error:
            sys.exit(f"\nThe demo failed: {error}")
        except httpx.TransportError as error:
            sys.exit(f"\nThe demo failed: no answer ({error}); is the stack running?")
    print("\nEverything was as it must be.")


if __name__ == "__main__":
    main()
