"""Who may begin to watch: every kind of person, every kind of video; and that it ends with the right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.both.people import (
    Course,
    Person,
    buy,
    done,
    draft_course,
    make_admin,
    make_student,
    make_teacher,
    nobody,
    refused,
)
from tests.both.toptank import TopTank, eventually
from tests.clips import Clips
from tests.documents import PDF

BOUND_S = 2.0
OPEN, KEY, NONE, TOKEN = (201, ""), (403, "key_required"), (404, "video_not_found"), (401, "not_authenticated")
VIDEOS = (
    *("film", "preview", "drafted film", "drafted preview", "archived film", "archived preview", "deleted film"),
    *("a lesson's file", "another course's film", "private practice", "shared practice", "public practice"),
    "deleted practice",
)
MAY = {
    "nobody": [TOKEN] * 13,
    "signed out": [TOKEN] * 13,
    "banned": [TOKEN] * 13,
    "stranger": [KEY, OPEN, NONE, NONE, NONE, NONE, NONE, NONE, KEY, NONE, NONE, OPEN, NONE],
    "other teacher": [KEY, OPEN, NONE, NONE, NONE, NONE, NONE, NONE, OPEN, NONE, NONE, OPEN, NONE],
    "buyer": [OPEN, OPEN, NONE, NONE, OPEN, OPEN, NONE, NONE, KEY, NONE, NONE, OPEN, NONE],
    "ex-buyer": [KEY, OPEN, NONE, NONE, NONE, NONE, NONE, NONE, KEY, NONE, NONE, OPEN, NONE],
    "teacher": [OPEN, OPEN, OPEN, OPEN, OPEN, OPEN, NONE, NONE, KEY, NONE, NONE, OPEN, NONE],
    "admin": [OPEN, OPEN, OPEN, OPEN, OPEN, OPEN, NONE, NONE, OPEN, OPEN, OPEN, OPEN, NONE],
    "who practises": [KEY, OPEN, NONE, NONE, NONE, NONE, NONE, NONE, KEY, OPEN, OPEN, OPEN, NONE],
    "friend": [KEY, OPEN, NONE, NONE, NONE, NONE, NONE, NONE, KEY, NONE, OPEN, OPEN, NONE],
    "former friend": [KEY, OPEN, NONE, NONE, NONE, NONE, NONE, NONE, KEY, NONE, NONE, OPEN, NONE],
}
"""What each is answered, in the order of `VIDEOS`.

Of a course that is not published, strangers and whoever has lost a key hear no more than on its page: it is not there.
"""


@dataclass(frozen=True)
class Scene:
    toptank: TopTank
    people: dict[str, Person]
    videos: dict[str, str]

    def play(self, who: str, what: str) -> Any:
        return self.people[who].cloud.post(f"/videos/{self.videos[what]}/playback")


def practise(owner: Person, film: bytes) -> str:
    """A practice video that the VPS has heard of."""
    video = str(done(owner.cloud.post("/videos?kind=practice&title=Hijaz", content=film), 201)["id"])
    eventually(lambda: owner.vps.get(f"/videos/{video}").status_code == 200)
    return video


def share(owner: Person, video: str, friend: Person) -> None:
    done(owner.vps.put(f"/videos/{video}/shares/{friend.username}"))


def filled(toptank: TopTank, teacher: Person, film: bytes, *, preview: bool) -> tuple[Course, list[str]]:
    """A course for sale with a film, and a preview if there is to be one."""
    course = draft_course(toptank, teacher, amount=100)
    lessons = [course.lesson_id, *([course.add_lesson(preview=True)] if preview else [])]
    videos = [str(done(teacher.upload(lesson, film), 201)["id"]) for lesson in lessons]
    eventually(lambda: course.video_ids() == videos)
    return course, videos


@pytest.fixture(scope="module")
def people(toptank: TopTank) -> dict[str, Person]:
    names = ("stranger", "buyer", "ex-buyer", "who practises", "friend", "former friend", "signed out", "banned")
    made = {name: make_student(toptank) for name in names}
    teachers = {name: make_teacher(toptank) for name in ("teacher", "other teacher")}
    return made | teachers | {"nobody": nobody(toptank), "admin": make_admin(toptank)}


@pytest.fixture(scope="module")
def scene(toptank: TopTank, people: dict[str, Person], clips: Clips) -> Scene:
    film, teacher, admin = clips.film, people["teacher"], people["admin"]
    on_sale, (first, preview) = filled(toptank, teacher, film, preview=True)
    _, (drafted, drafted_preview) = filled(toptank, teacher, film, preview=True)
    archived, (old, old_preview) = filled(toptank, teacher, film, preview=True)
    deleted, (gone,) = filled(toptank, teacher, film, preview=False)
    others, (others_film,) = filled(toptank, people["other teacher"], film, preview=False)
    for course in (on_sale, archived, deleted, others):
        course.publish()
    name = f"/files?lesson_id={on_sale.lesson_id}&name=notes.pdf"
    file = str(done(teacher.cloud.post(name, content=PDF), 201)["id"])
    toptank.simulator.start()
    for course in (on_sale, archived, deleted):
        payments = [buy(toptank, people[who], course)["payment"]["id"] for who in ("buyer", "ex-buyer")]
        done(admin.vps.post(f"/admin/payments/{payments[1]}/refund"))
    toptank.simulator.stop()
    done(teacher.vps.post(f"/courses/{archived.id}/archive"))
    done(teacher.cloud.delete(f"/courses/{deleted.id}"), 204)
    practised = [practise(people["who practises"], film) for _ in range(4)]
    owner = people["who practises"]
    for one in ("friend", "former friend"):
        share(owner, practised[1], people[one])
    done(owner.vps.delete(f"/videos/{practised[1]}/shares/{people['former friend'].username}"), 204)
    done(owner.vps.patch(f"/videos/{practised[2]}", json={"is_public": True}))
    share(owner, practised[3], people["friend"])
    done(owner.cloud.delete(f"/videos/{practised[3]}"), 204)
    done(people["signed out"].vps.delete("/auth/sessions"), 204)
    done(admin.vps.post(f"/admin/users/{people['banned'].id}/ban"))
    ids = (first, preview, drafted, drafted_preview, old, old_preview, gone, file, others_film, *practised)
    made = Scene(toptank, people, dict(zip(VIDEOS, ids, strict=True)))
    for who in ("signed out", "banned"):
        eventually(lambda who=who: made.play(who, "deleted film").status_code == 401, within_s=BOUND_S)  # type: ignore[misc]
    return made


@pytest.mark.parametrize("who", MAY)
def test_whoever_may_watch_gets_links_and_nobody_else(scene: Scene, who: str) -> None:
    """Asked twice: the second time as it is remembered."""
    for _ in range(2):
        for what, (status, code) in zip(VIDEOS, MAY[who], strict=True):
            answer = scene.play(who, what)
            assert answer.status_code == status, (who, what, answer.content[:300])
            if code:
                refused(answer, status, code)


def test_links_are_given_by_what_is_remembered_without_a_question(scene: Scene) -> None:
    for who, what in (("friend", "shared practice"), ("stranger", "public practice"), ("stranger", "preview")):
        done(scene.play(who, what), 201)
        asked = len(scene.toptank.vps.requests("/internal/access"))
        done(scene.play(who, what), 201)
        assert len(scene.toptank.vps.requests("/internal/access")) == asked


# --- when it ends -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Practice:
    """A practice video that its owner, a friend and a stranger watch by their links."""

    toptank: TopTank
    owner: Person
    friend: Person
    video: str
    links: dict[str, str]

    def statuses(self) -> dict[str, int]:
        return {name: self.toptank.http.get(link).status_code for name, link in self.links.items()}

    def comes_to(self, **statuses: int) -> None:
        eventually(lambda: self.statuses() == statuses, within_s=BOUND_S)


@pytest.fixture
def practice(toptank: TopTank, clips: Clips) -> Practice:
    owner, friend, stranger = (make_student(toptank) for _ in range(3))
    video = practise(owner, clips.film)
    share(owner, video, friend)
    done(owner.vps.patch(f"/videos/{video}", json={"is_public": True}))
    links = {
        name: done(person.cloud.post(f"/videos/{video}/playback"), 201)["mp4"][0]["url"]
        for name, person in (("owner", owner), ("friend", friend), ("stranger", stranger))
    }
    practice = Practice(toptank, owner, friend, video, links)
    assert practice.statuses() == {"owner": 200, "friend": 200, "stranger": 200}
    return practice


def test_what_is_made_private_stops_for_strangers_and_what_is_unshared_for_friends(practice: Practice) -> None:
    path = f"/videos/{practice.video}"
    done(practice.owner.vps.patch(path, json={"is_public": False}))
    practice.comes_to(owner=200, friend=200, stranger=404)
    done(practice.owner.vps.delete(f"{path}/shares/{practice.friend.username}"), 204)
    practice.comes_to(owner=200, friend=404, stranger=404)
    share(practice.owner, practice.video, practice.friend)
    practice.comes_to(owner=200, friend=200, stranger=404)


ENDS: dict[str, Callable[[Practice, Person], Any]] = {
    "its owner deletes it": lambda practice, _: done(practice.owner.cloud.delete(f"/videos/{practice.video}"), 204),
    "its owner is banned": lambda practice, admin: done(admin.vps.post(f"/admin/users/{practice.owner.id}/ban")),
}


@pytest.mark.parametrize("end", ENDS)
def test_whatever_ends_it_for_everybody_ends_every_link(
    practice: Practice, people: dict[str, Person], end: str
) -> None:
    ENDS[end](practice, people["admin"])
    practice.comes_to(owner=410 if "banned" in end else 404, friend=404, stranger=404)


def test_a_friend_who_was_banned_or_signs_out_everywhere_watches_no_more(
    practice: Practice, people: dict[str, Person]
) -> None:
    done(practice.friend.vps.delete("/auth/sessions"), 204)
    practice.comes_to(owner=200, friend=410, stranger=200)


def test_what_is_shared_opens_at_once_to_whom_it_was_refused(toptank: TopTank, clips: Clips) -> None:
    owner, friend = make_student(toptank), make_student(toptank)
    video = practise(owner, clips.film)
    path = f"/videos/{video}/playback"
    refused(friend.cloud.post(path), 404, "video_not_found")
    share(owner, video, friend)
    uri = done(friend.vps.get(f"/videos/{video}"))["uri"]
    assert friend.watch_at(uri).status_code == 200
    done(friend.cloud.post(path), 201)
