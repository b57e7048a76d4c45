"""How a node is brought to each kill point of a playback: a view counts once, and what was watched is told."""

from collections.abc import Callable, Iterator
from typing import Any

from tests.both.people import Person, done, refused
from tests.both.toptank import eventually
from tests.faults import playback_deaths
from tests.faults.acts import Cast, Purchase, attempt
from tests.faults.world import World

Scenario = Callable[[World, Cast], Iterator[None]]


def buyer(cast: Cast) -> tuple[Purchase, str]:
    course, video_id = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200  # it is remembered, also while the node is away
    return purchase, video_id


def begin(student: Person, video_id: str) -> str:
    """Where the film is to be had."""
    return str(done(student.cloud.post(f"/videos/{video_id}/playback"), 201)["mp4"][0]["url"])


def told(world: World, video_id: str) -> list[tuple[Any, ...]]:
    """What the VPS knows of the video's playbacks: whether each is a view, and how it ended; the oldest first."""
    wanted = 'SELECT viewed_at IS NOT NULL, "end" FROM playbacks WHERE video_id = %s ORDER BY began_at, id'
    return world.sql(wanted, video_id)


def views(cast: Cast, purchase: Purchase) -> list[int]:
    detail = done(cast.teacher.vps.get(f"/courses/{purchase.course.id}"))
    return [lesson["views"] for section in detail["sections"] for lesson in section["lessons"]]


def end(world: World, cast: Cast, video_id: str) -> None:
    """So that the next case has nothing to do with this one's."""
    cast.delete_video(video_id)
    eventually(lambda: not world.node_sql("SELECT * FROM playbacks WHERE video_id = ?", video_id))


def begins_unheard(world: World, cast: Cast) -> Iterator[None]:
    """Nobody has its links, so it ends by itself; the VPS knows that it began, and it is no view."""
    purchase, video_id = buyer(cast)
    yield
    assert attempt(lambda: purchase.buyer.cloud.post(f"/videos/{video_id}/playback")) is None
    yield
    eventually(lambda: told(world, video_id) == [(False, None)])
    assert purchase.watch(begin(purchase.buyer, video_id)).content == cast.film
    eventually(lambda: views(cast, purchase) == [1])
    end(world, cast, video_id)


def counts_before_it_sends(world: World, cast: Cast) -> Iterator[None]:
    """The view was written down as the first bytes were about to go: it counts, and going on counts no more."""
    purchase, video_id = buyer(cast)
    yield
    url = begin(purchase.buyer, video_id)
    assert attempt(lambda: purchase.watch(url)) is None
    yield
    eventually(lambda: views(cast, purchase) == [1])
    assert purchase.watch(url).content == cast.film
    assert views(cast, purchase) == [1]
    assert told(world, video_id) == [(True, None)]
    end(world, cast, video_id)


def keeps_what_was_watched(world: World, cast: Cast) -> Iterator[None]:
    """It dies with what was watched just written down: at the end of it all, the VPS hears of it."""
    purchase, video_id = buyer(cast)
    yield
    url = begin(purchase.buyer, video_id)
    answer = attempt(lambda: purchase.watch(url))  # what was watched may be written down while it still is
    assert answer is None or answer.content == cast.film
    yield
    watched = "SELECT jsonb_array_length(watched) FROM playbacks WHERE video_id = %s"
    eventually(lambda: views(cast, purchase) == [1])
    end(world, cast, video_id)
    eventually(lambda: world.sql(watched, video_id) == [(1,)])


def ends(world: World, cast: Cast) -> Iterator[None]:
    """The video is deleted, and the node dies as it has just written that down."""
    purchase, video_id = buyer(cast)
    yield
    url = begin(purchase.buyer, video_id)
    assert purchase.watch(url).content == cast.film
    attempt(lambda: cast.teacher.cloud.delete(f"/videos/{video_id}"))
    yield
    eventually(lambda: told(world, video_id) == [(True, "video_gone")])
    refused(purchase.watch(url), 410, "playback_expired")
    end(world, cast, video_id)


def tells_of_a_view_twice(world: World, cast: Cast) -> Iterator[None]:
    """The VPS has counted it, and the node does not know: told again, it counts once."""
    purchase, video_id = buyer(cast)
    yield
    url = attempt(lambda: purchase.buyer.cloud.post(f"/videos/{video_id}/playback"))
    if url is not None:  # it may have been told before the node died
        attempt(lambda: purchase.watch(done(url, 201)["mp4"][0]["url"]))
    yield
    eventually(lambda: not world.node_sql("SELECT * FROM outbox"))
    viewed = world.node_sql("SELECT viewed_at IS NOT NULL FROM playbacks WHERE video_id = ?", video_id)
    eventually(lambda: views(cast, purchase) == [sum(one for (one,) in viewed)])
    end(world, cast, video_id)


SCENARIOS: dict[str, Scenario] = {
    "playback.begun": begins_unheard,
    "playback.viewed": counts_before_it_sends,
    "playback.kept": keeps_what_was_watched,
    "playback.ended": ends,
}
ON_THE_COMMON_WAY: dict[str, Scenario] = {
    "outbox.answered": tells_of_a_view_twice,
    "outbox.answered:2": tells_of_a_view_twice,
    "playback.begun": playback_deaths.begins_again,
}
