"""Who and what the tests are about, made over HTTP as clients do."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import httpx
from PIL import Image

from tests.both.toptank import FOLLOWERS_REQUIRED, Node, TopTank, eventually
from tests.processes import run

PASSWORD = "correct horse battery staple"
_numbers: Iterator[int] = count(1)


def done(response: httpx.Response, status: int = 200) -> Any:
    """The answer's body, when the answer is the one expected."""
    assert response.status_code == status, f"{response.status_code}: {response.content[:500]!r}"
    return response.json() if response.content else None


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem's body, when the request was refused in this way."""
    assert response.headers.get("content-type") == "application/problem+json", response.content[:500]
    problem: dict[str, Any] = response.json()
    assert (response.status_code, problem["code"]) == (status, code), problem
    return problem


@dataclass(frozen=True)
class Api:
    """One service as one person calls it."""

    http: httpx.Client
    base: str
    headers: dict[str, str]

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {**self.headers, **more.pop("headers", {})}
        return self.http.request(method, f"{self.base}{path}", headers=headers, **more)

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.send("GET", path, **more)

    def post(self, path: str, **more: Any) -> httpx.Response:
        return self.send("POST", path, **more)

    def put(self, path: str, **more: Any) -> httpx.Response:
        return self.send("PUT", path, **more)

    def patch(self, path: str, json: Any) -> httpx.Response:
        return self.send("PATCH", path, json=json)

    def delete(self, path: str) -> httpx.Response:
        return self.send("DELETE", path)


@dataclass(frozen=True)
class Person:
    id: str
    username: str
    token: str
    vps: Api
    cloud: Api

    def upload(self, lesson_id: str, content: Any) -> httpx.Response:
        return self.cloud.post(f"/videos?lesson_id={lesson_id}", content=content)

    def watch(self, video_id: str, **headers: str) -> httpx.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.cloud.get(f"/videos/{video_id}/stream", headers=named)

    def watch_at(self, uri: str, **headers: str) -> httpx.Response:
        """Where the VPS said that it is."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.cloud.http.get(uri, headers={**self.cloud.headers, **named})

    def at(self, node: Node) -> "Person":
        """The same person, whose Cloud is this node."""
        return replace(self, cloud=replace(self.cloud, base=node.url))


def nobody(toptank: TopTank) -> Person:
    """Somebody without a token."""
    return Person("", "", "", Api(toptank.http, f"{toptank.vps.url}/api", {}), Api(toptank.http, toptank.cloud.url, {}))


def signed_in(toptank: TopTank, answer: dict[str, Any]) -> Person:
    toptank.told |= {answer["access_token"], answer["refresh_token"], PASSWORD}
    return with_token(toptank, answer["user"]["id"], answer["user"]["username"], answer["access_token"])


def with_token(toptank: TopTank, user_id: str, username: str, token: str) -> Person:
    headers = {"Authorization": f"Bearer {token}"}
    vps, cloud = (Api(toptank.http, base, headers) for base in (f"{toptank.vps.url}/api", toptank.cloud.url))
    return Person(user_id, username, token, vps, cloud)


def make_student(toptank: TopTank) -> Person:
    username = f"student.{next(_numbers)}"
    form = {"name": "Sara", "username": username, "password": PASSWORD, "email": f"{username}@example.com"}
    return signed_in(toptank, done(nobody(toptank).vps.post("/auth/register", json=form), 201))


def portrait() -> bytes:
    image = io.BytesIO()
    Image.new("RGB", (40, 30), "teal").save(image, "PNG")
    return image.getvalue()


def make_teacher(toptank: TopTank, followers: int = FOLLOWERS_REQUIRED) -> Person:
    """With this many followers; enough of them verify."""
    number = next(_numbers)
    form = {"name": "Omar", "username": f"teacher.{number}", "password": PASSWORD, "phone": f"+2010{number:08}"}
    response = nobody(toptank).vps.post("/auth/register/teacher", data=form, files={"image": portrait()})
    teacher = signed_in(toptank, done(response, 201))
    for follower in followers_of(toptank)[:followers]:
        done(follower.vps.put(f"/teachers/{teacher.username}/follow"))
    return teacher


_followers: dict[str, list[Person]] = {}


def followers_of(toptank: TopTank) -> list[Person]:
    """Students whose follow counts; an operator vouched for their addresses."""
    if toptank.database_url not in _followers:
        people = [make_student(toptank) for _ in range(FOLLOWERS_REQUIRED)]
        toptank.sql("UPDATE users SET email_verified_at = now() WHERE id = ANY(%s::uuid[])", [one.id for one in people])
        _followers[toptank.database_url] = people
    return _followers[toptank.database_url]


def make_admin(toptank: TopTank) -> Person:
    username = f"admin.{next(_numbers)}"
    made = run(
        "vps_service.accounts.operator",
        *("create-admin", username, f"{username}@example.com"),
        environment=toptank.environment,
        given=f"{PASSWORD}\n",
    )
    assert made.returncode == 0, made.stderr
    login = {"login": username, "password": PASSWORD}
    return signed_in(toptank, done(nobody(toptank).vps.post("/auth/login", json=login)))


@dataclass
class Course:
    """A course of `teacher` with one section; `lesson_id` is its first lesson."""

    toptank: TopTank
    teacher: Person
    id: str
    section_id: str
    lessons: list[str] = field(default_factory=list)

    @property
    def lesson_id(self) -> str:
        return self.lessons[0]

    def add_lesson(self, preview: bool = False) -> str:
        draft = {"title": "Holding it", "is_preview": preview}
        lesson = done(self.teacher.vps.post(f"/sections/{self.section_id}/lessons", json=draft), 201)
        self.lessons.append(lesson["id"])
        return str(lesson["id"])

    def publish(self) -> None:
        """An admin's word is not what these tests are about."""
        done(self.teacher.vps.post(f"/courses/{self.id}/submit"))
        self.toptank.sql("UPDATE courses SET status = 'published' WHERE id = %s", self.id)

    def video_ids(self) -> list[str | None]:
        """As the VPS knows them."""
        detail = done(self.teacher.vps.get(f"/courses/{self.id}"))
        return [lesson["video_id"] for section in detail["sections"] for lesson in section["lessons"]]


def draft_course(toptank: TopTank, teacher: Person, amount: int = 0) -> Course:
    draft = {"title": "The oud", "price": {"amount": amount, "currency": "EGP"}}
    course_id = done(teacher.vps.post("/courses", json=draft), 201)["id"]
    section = done(teacher.vps.post(f"/courses/{course_id}/sections", json={"title": "First steps"}), 201)
    course = Course(toptank, teacher, course_id, section["id"])
    course.add_lesson()
    return course


def published_course(toptank: TopTank, teacher: Person, film: bytes) -> tuple[Course, str]:
    """A free course and its one video, which the VPS has heard of."""
    course = draft_course(toptank, teacher)
    course.publish()
    video_id = str(done(teacher.upload(course.lesson_id, film), 201)["id"])
    eventually(lambda: course.video_ids() == [video_id])
    return course, video_id


def enroll(student: Person, course: Course) -> None:
    done(student.vps.post(f"/courses/{course.id}/enroll"), 201)


def buy(toptank: TopTank, buyer: Person, course: Course) -> dict[str, Any]:
    """What the VPS answers once it is paid."""
    asked = buyer.vps.post("/payments", json={"course_id": course.id, "provider": "simulator"})
    payment = done(asked, 201)
    assert toptank.http.post(f"{payment['action']['url']}/paid").status_code == 303
    answer: dict[str, Any] = done(buyer.vps.post(f"/payments/{payment['id']}/verify"))
    return answer
