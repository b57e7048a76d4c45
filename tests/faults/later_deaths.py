"""As `node_deaths`, where the node comes through the same point unharmed first: what went before it stands as well."""

from collections.abc import Callable, Iterator
from functools import partial

from tests.both.people import refused
from tests.both.toptank import eventually
from tests.faults.acts import Cast, answered, attempt
from tests.faults.world import World

Scenario = Callable[[World, Cast], Iterator[None]]
VIDEOS = 3


def loses_the_second_upload(world: World, cast: Cast) -> Iterator[None]:
    first, second = cast.draft(), cast.draft()
    yield
    video_id = cast.upload(first.lesson_id)
    assert attempt(lambda: cast.teacher.upload(second.lesson_id, cast.film)) is None
    yield
    eventually(lambda: first.video_ids() == [video_id])
    assert answered(lambda: cast.teacher.watch(video_id)).content == cast.film
    assert second.video_ids() == [None]


def announces_the_second_twice(world: World, cast: Cast) -> Iterator[None]:
    first, second = cast.draft(), cast.draft()
    yield
    cast.upload(first.lesson_id)
    eventually(lambda: not world.node_sql("SELECT * FROM outbox"))
    attempt(lambda: cast.teacher.upload(second.lesson_id, cast.film))
    yield
    eventually(lambda: all(first.video_ids() + second.video_ids()))
    for video_id in first.video_ids() + second.video_ids():
        assert answered(partial(cast.teacher.watch, video_id or "")).content == cast.film
    eventually(lambda: not world.node_sql("SELECT * FROM outbox"))


def deletes_a_course_by_halves(world: World, cast: Cast) -> Iterator[None]:
    """One video is gone with its file, of the next the row, and of the last neither."""
    course, video_id = cast.course_on_sale()
    videos = [video_id, *(cast.upload(course.add_lesson()) for _ in range(VIDEOS - 1))]
    eventually(lambda: set(course.video_ids()) == set(videos))
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    yield
    assert attempt(lambda: cast.teacher.cloud.delete(f"/courses/{course.id}")) is None
    yield
    eventually(lambda: all(purchase.watch(uri).status_code == 404 for uri in purchase.uris))
    eventually(lambda: not any((cast.teacher.id, video) in world.originals for video in videos))
    cast.delete_course(course)


def hears_of_another_ended_right(world: World, cast: Cast) -> Iterator[None]:
    course, _ = cast.course_on_sale()
    refunded, banned = cast.buyer_of(course), cast.buyer_of(course)
    for purchase in (refunded, banned):
        assert purchase.let_in().status_code == 200
    world.cloud.stop()
    cast.refund(refunded)
    yield
    eventually(lambda: attempt(refunded.watch) is None or refunded.watch().status_code == 403)
    cast.ban(banned.buyer)
    yield
    eventually(lambda: banned.watch().status_code == 401)
    refused(refunded.watch(), 403, "key_required")


SCENARIOS: dict[str, Scenario] = {
    "upload.received:2": loses_the_second_upload,
    "upload.renamed:2": loses_the_second_upload,
    "outbox.answered:2": announces_the_second_twice,
    "deletion.row_gone:2": deletes_a_course_by_halves,
    "feed.applied:2": hears_of_another_ended_right,
}
"""What brings a node to a point once more."""
