"""What becomes of watching: one view a playback for its teacher to see, and a place to go on from."""

from dataclasses import dataclass
from typing import Any

import pytest

from tests.both.people import Course, Person, done, enroll, make_student, published_course, refused
from tests.both.toptank import TopTank, eventually
from tests.clips import H264, PICTURE, Clips

SETTINGS = {"TOPTANK_PLAYBACK_TOLD_EVERY_S": "0.3"}
DURATION_S = 60


@dataclass(frozen=True)
class Scene:
    toptank: TopTank
    course: Course
    film: str
    size: int

    def student(self) -> Person:
        student = make_student(self.toptank)
        enroll(student, self.course)
        return student

    def views(self) -> int:
        detail = done(self.course.teacher.vps.get(f"/courses/{self.course.id}"))
        return int(detail["sections"][0]["lessons"][0]["views"])

    def begin(self, student: Person) -> tuple[str, dict[str, Any]]:
        """Where the film is to be had, and all that was answered."""
        began: dict[str, Any] = done(student.cloud.post(f"/videos/{self.film}/playback"), 201)
        return began["mp4"][0]["url"], began

    def get(self, url: str, method: str = "GET", **headers: str) -> int:
        return self.toptank.http.request(method, url, headers=headers).status_code

    def told(self, began: dict[str, Any]) -> dict[str, Any] | None:
        """What the VPS knows of this playback."""
        wanted = 'SELECT viewed_at IS NOT NULL, watched, "end" FROM playbacks WHERE id = %s'
        rows = self.toptank.sql(wanted, began["id"])
        return dict(zip(("viewed", "watched", "end"), rows[0], strict=True)) if rows else None


@pytest.fixture(scope="module")
def scene(toptank: TopTank, teacher: Person, clips: Clips) -> Scene:
    """A minute that nothing was made of yet: seconds are bytes in proportion."""
    film = clips.made("minute.mp4", *PICTURE, *H264, "-movflags", "+faststart", seconds=DURATION_S)
    course, video_id = published_course(toptank, teacher, film)
    return Scene(toptank, course, video_id, len(film))


def test_a_playback_is_one_view_from_its_first_bytes_of_film_on(scene: Scene) -> None:
    before = scene.views()
    url, began = scene.begin(scene.student())
    eventually(lambda: scene.told(began))
    assert scene.views() == before
    assert scene.get(url, Range="bytes=0-0") == 206
    eventually(lambda: scene.views() == before + 1)
    for _ in range(3):
        assert scene.get(url) == 200
    whole = [[0, pytest.approx(DURATION_S, abs=0.2)]]
    eventually(lambda: scene.told(began) == {"viewed": True, "watched": whole, "end": None})
    assert scene.views() == before + 1


def test_what_is_asked_for_without_sending_film_is_no_view(scene: Scene) -> None:
    url, began = scene.begin(scene.student())
    asked = (
        scene.get(url, "HEAD"),
        scene.get(url, Range=f"bytes={scene.size}-"),
        scene.get(url, **{"If-None-Match": "*"}),
        scene.get(f"{url.rpartition('/')[0]}/poster.jpg"),
    )
    assert asked == (200, 416, 304, 404)
    eventually(lambda: scene.told(began))
    assert scene.toptank.node_sql("SELECT viewed_at FROM playbacks WHERE id = ?", began["id"]) == [(None,)]


def test_a_viewer_goes_on_where_they_were(scene: Scene) -> None:
    student = scene.student()
    url, began = scene.begin(student)
    assert began["resume_at_s"] is None
    half = scene.size // 2
    assert scene.get(url, Range=f"bytes={half}-{half + scene.size // 4}") == 206
    _, later = scene.begin(student)
    assert later["resume_at_s"] == pytest.approx(DURATION_S / 2, abs=1)
    assert scene.begin(scene.student())[1]["resume_at_s"] is None
    eventually(lambda: (scene.told(began) or {})["watched"])
    ((start_s, stop_s),) = (scene.told(began) or {})["watched"]
    assert (start_s, stop_s) == (pytest.approx(30, abs=0.1), pytest.approx(45, abs=0.1))


def test_where_they_were_survives_the_node(scene: Scene) -> None:
    student = scene.student()
    url, began = scene.begin(student)
    assert scene.get(url, Range=f"bytes={scene.size // 3}-{scene.size // 2}") == 206
    eventually(lambda: scene.toptank.node_sql("SELECT 1 FROM positions WHERE user_id = ?", student.id))
    scene.toptank.cloud.kill()
    scene.toptank.cloud.start()
    assert eventually(lambda: scene.begin(student)[1]["resume_at_s"]) == pytest.approx(DURATION_S / 3, abs=1)
    assert scene.get(url, Range="bytes=0-9") == 206  # the playback goes on too
    eventually(lambda: len((scene.told(began) or {})["watched"]) == 2)


def test_one_that_made_room_is_told_to_have_ended(scene: Scene) -> None:
    student = scene.student()
    (url, first), _, _ = (scene.begin(student) for _ in range(3))
    refused(scene.toptank.http.get(url), 410, "playback_moved")
    eventually(lambda: (scene.told(first) or {}).get("end") == "moved")
    eventually(lambda: not scene.toptank.node_sql("SELECT * FROM outbox"))
    wanted = "SELECT count(*) FROM changes WHERE kind = 'playback_moved' AND user_id = %s"
    assert scene.toptank.sql(wanted, student.id) == [(0,)]  # the node itself saw to it


def test_views_stay_when_the_video_is_deleted_and_no_harm_is_done(scene: Scene, teacher: Person, clips: Clips) -> None:
    course, video_id = published_course(scene.toptank, teacher, clips.film)
    student = make_student(scene.toptank)
    enroll(student, course)
    began = done(student.cloud.post(f"/videos/{video_id}/playback"), 201)
    assert scene.get(began["mp4"][0]["url"]) == 200
    done(teacher.cloud.delete(f"/videos/{video_id}"), 204)
    eventually(lambda: (scene.told(began) or {}).get("end") == "video_gone")
    assert (scene.told(began) or {})["viewed"] is True
    eventually(lambda: not scene.toptank.node_sql("SELECT * FROM outbox"))
