"""Who and what the tests are about: students, teachers, admins, and their courses, made through the API."""

import io
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
from PIL import Image
from uuid_utils.compat import uuid7

from shared.contract import (
    ACCESS,
    DELETIONS,
    EVENTS,
    UPLOAD_RIGHTS,
    AccessQuestion,
    DeletionQuestion,
    Event,
    UploadQuestion,
    VideoStored,
)
from tests.vps.running import Node, Vps
from vps_service.accounts.actions import confirm_contact, new_user, store_user
from vps_service.accounts.passwords import Hasher

PASSWORD = "correct horse battery staple"


@dataclass
class Person:
    """Somebody signed in."""

    http: httpx.AsyncClient
    user: dict[str, Any]
    access_token: str
    refresh_token: str

    @property
    def id(self) -> UUID:
        return UUID(self.user["id"])

    @property
    def username(self) -> str:
        return str(self.user["username"])

    async def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.access_token}", **more.pop("headers", {})}
        return await self.http.request(method, path, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.send("GET", path, **more)

    async def post(self, path: str, json: Any = None, **more: Any) -> httpx.Response:
        return await self.send("POST", path, json=json, **more)

    async def put(self, path: str, json: Any = None) -> httpx.Response:
        return await self.send("PUT", path, json=json)

    async def patch(self, path: str, json: Any) -> httpx.Response:
        return await self.send("PATCH", path, json=json)

    async def delete(self, path: str) -> httpx.Response:
        return await self.send("DELETE", path)


def done(response: httpx.Response, status: int = 200) -> Any:
    """The answer's body, when the answer is the one expected."""
    assert response.status_code == status, f"{response.status_code}: {response.text}"
    return response.json() if response.content else None


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem's body, when the request was refused in this way."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["status"], problem["code"]) == (status, status, code), problem
    return problem


def signed_in(vps: Vps, answer: dict[str, Any]) -> Person:
    return Person(vps.http, answer["user"], answer["access_token"], answer["refresh_token"])


def student_form(username: str = "sara", **changes: Any) -> dict[str, Any]:
    form = {"name": username.title(), "username": username, "password": PASSWORD, "email": f"{username}@example.com"}
    return form | changes


async def make_student(vps: Vps, username: str = "sara") -> Person:
    response = await vps.http.post("/api/auth/register", json=student_form(username))
    return signed_in(vps, done(response, 201))


async def make_verified_student(vps: Vps, username: str = "sara") -> Person:
    """A student whose contact an operator vouched for, so that their follow counts."""
    student = await make_student(vps, username)
    await confirm(vps, student)
    return student


async def confirm(vps: Vps, person: Person) -> None:
    """As `toptank confirm-contact` does."""
    await confirm_contact(vps.sessions, person.username, vps.settings.followers_required)


def picture(width: int = 40, height: int = 30, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(file, kind, **options)
    return file.getvalue()


def teacher_form(username: str = "omar", **changes: Any) -> dict[str, Any]:
    phone = f"+2{uuid4().int % 10**11:011d}"
    return {"name": username.title(), "username": username, "password": PASSWORD, "phone": phone} | changes


async def ask_to_teach(vps: Vps, form: dict[str, Any], image: bytes | None = None) -> httpx.Response:
    content = picture() if image is None else image
    return await vps.http.post("/api/auth/register/teacher", data=form, files={"image": ("me.png", content)})


async def make_teacher(vps: Vps, username: str = "omar") -> Person:
    return signed_in(vps, done(await ask_to_teach(vps, teacher_form(username)), 201))


async def make_admin(vps: Vps, username: str = "root-admin") -> Person:
    """As `toptank create-admin` does; nobody becomes an admin over HTTP."""
    admin = await new_user(
        Hasher(4), role="admin", name=username, username=username, password=PASSWORD, email=f"{username}@example.com"
    )
    async with vps.sessions() as session, session.begin():
        await store_user(session, admin)
    return await sign_in(vps, username)


async def sign_in(vps: Vps, login: str) -> Person:
    response = await vps.http.post("/api/auth/login", json={"login": login, "password": PASSWORD})
    return signed_in(vps, done(response))


@dataclass
class Course:
    """A course of `teacher` with one section and one lesson."""

    teacher: Person
    id: str
    section_id: str
    lesson_id: str
    videos: list[UUID] = field(default_factory=list)

    @property
    def path(self) -> str:
        return f"/api/courses/{self.id}"


def price(amount: int) -> dict[str, Any]:
    return {"amount": amount, "currency": "EGP"}


async def draft_course(teacher: Person, title: str = "The oud", amount: int = 10_000, preview: bool = False) -> Course:
    course = done(await teacher.post("/api/courses", {"title": title, "price": price(amount)}), 201)
    section = done(await teacher.post(f"/api/courses/{course['id']}/sections", {"title": "First steps"}), 201)
    lesson = {"title": "Holding it", "is_preview": preview}
    lesson = done(await teacher.post(f"/api/sections/{section['id']}/lessons", lesson), 201)
    return Course(teacher, course["id"], section["id"], lesson["id"])


async def submitted_course(teacher: Person, amount: int = 10_000, **how: Any) -> Course:
    course = await draft_course(teacher, amount=amount, **how)
    done(await teacher.post(f"{course.path}/submit"))
    return course


async def published_course(vps: Vps, teacher: Person, amount: int = 10_000, **how: Any) -> Course:
    course = await submitted_course(teacher, amount, **how)
    known = await vps.rows("SELECT 1 FROM users WHERE username = 'root-admin'")
    admin = await (sign_in(vps, "root-admin") if known else make_admin(vps))
    done(await admin.post(f"/api/admin/courses/{course.id}/approve"))
    return course


class VideoEvent(Event):
    about: VideoStored


def video_stored(course: Course, **changes: Any) -> VideoEvent:
    about = {
        "video_id": uuid7(),
        "lesson_id": course.lesson_id,
        "course_id": course.id,
        "owner_id": course.teacher.id,
        "size": 1_000_000,
        "sha256": "ab" * 32,
        "media_type": "video/mp4",
        "duration_s": 12.5,
        "stored_at": "2026-11-21T09:00:00Z",
    }
    return VideoEvent(id=uuid7(), about=VideoStored.model_validate(about | changes))


def practice_stored(owner: Person, **changes: Any) -> VideoEvent:
    """A practice video of this user's."""
    about = video_stored(Course(owner, str(owner.id), "", ""), lesson_id=None).about
    told = {"video_kind": "practice", "title": "Hijaz, slowly", "media_type": "video/webm"} | changes
    return VideoEvent(id=uuid7(), about=about.model_copy(update=told))


def again(event: VideoEvent, **changes: Any) -> VideoEvent:
    """The same video told of once more, in the state that it is in by now."""
    about = VideoStored.model_validate(event.about.model_dump() | changes)
    return VideoEvent(id=uuid7(), about=about)


async def told(node: Node, event: Event) -> str:
    """What the VPS makes of what the node tells it."""
    return str(done(await node.post(EVENTS, event))["verdict"])


async def store_video(vps: Vps, course: Course, **changes: Any) -> UUID:
    """The node announces that it holds the lesson's video."""
    event = video_stored(course, **changes)
    assert await told(vps.node, event) == "applied"
    course.videos.append(event.about.video_id)
    return event.about.video_id


async def lesson_shown(person: Person | httpx.AsyncClient, course: Course) -> dict[str, Any]:
    """The course's first lesson, as this person sees it."""
    lesson: dict[str, Any] = done(await person.get(course.path))["sections"][0]["lessons"][0]
    return lesson


async def delete_video(vps: Vps, person: Person, video: UUID, is_file: bool | None = None) -> tuple[bool, str | None]:
    """Whether the VPS agrees that this person deletes it, and why not."""
    question = DeletionQuestion(user_id=person.id, generation=0, video_id=video, is_file=is_file)
    answer = done(await vps.node.post(DELETIONS, question))
    return answer["agreed"], answer["reason"]


async def access(vps: Vps, person: Person, video: UUID, generation: int = 0) -> tuple[bool, str, str | None]:
    """Whether this person may watch it, why not, and by what right."""
    question = AccessQuestion(user_id=person.id, generation=generation, video_id=video)
    answer = done(await vps.node.post(ACCESS, question))
    return answer["allowed"], answer["reason"], answer["via"]


async def upload_rights(node: Node, person: Person, **what: Any) -> dict[str, Any]:
    """What the node is answered that asks whether this person may upload."""
    question = UploadQuestion.model_validate({"user_id": person.id, "generation": 0} | what)
    answer: dict[str, Any] = done(await node.post(UPLOAD_RIGHTS, question))
    assert answer["allowed"] is (answer["reason"] is None)
    return answer


async def verify_teacher(vps: Vps, teacher: Person) -> None:
    """As if enough people followed them."""
    await vps.rows("UPDATE teachers SET verified_at = now() WHERE user_id = :id", id=teacher.id)


async def announced(vps: Vps, *kinds: str) -> list[dict[str, str]]:
    """The changes so far, of these kinds if any are named, each with what it is about."""
    rows = await vps.rows("SELECT kind, user_id, course_id, video_id, session_id FROM changes ORDER BY number")
    shown = [{name: str(value) for name, value in row.items() if value is not None} for row in rows]
    return [change for change in shown if not kinds or change["kind"] in kinds]


async def order(buyer: Person, course: Course, idempotency_key: str | None = None) -> httpx.Response:
    purchase = {"course_id": course.id, "provider": "simulator"}
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    return await buyer.post("/api/payments", purchase, headers=headers)


async def pay(payment: dict[str, Any], outcome: str = "paid") -> None:
    """The buyer at the provider's own checkout page, over real HTTP."""
    async with httpx.AsyncClient() as browser:
        response = await browser.post(f"{payment['action']['url']}/{outcome}")
    assert response.status_code == 303


async def verify(buyer: Person, payment: dict[str, Any]) -> httpx.Response:
    return await buyer.post(f"/api/payments/{payment['id']}/verify")


async def buy(buyer: Person, course: Course) -> dict[str, Any]:
    """Order, pay, verify: what the last of these answers."""
    payment = done(await order(buyer, course), 201)
    await pay(payment)
    bought: dict[str, Any] = done(await verify(buyer, payment))
    return bought
