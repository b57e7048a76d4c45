"""As `node_deaths`, for playbacks: whoever watched goes on with the links they have, whoever began begins again."""

from collections.abc import Callable, Iterator

from tests.both.playing import link_of
from tests.faults.acts import Cast, attempt
from tests.faults.world import World

Scenario = Callable[[World, Cast], Iterator[None]]
LONGER_THAN_A_SECRET_S = 13 * 3600


def begins_again(world: World, cast: Cast) -> Iterator[None]:
    """Nobody was told of the playback. Somebody else's goes on without being begun anew, and the next one begins."""
    course, video_id = cast.course_on_sale()
    watching, beginning = cast.buyer_of(course), cast.buyer_of(course)
    assert watching.let_in().status_code == 200
    link = link_of(world, watching.buyer, video_id)
    assert link.follow().body == cast.film
    yield
    assert attempt(lambda: beginning.buyer.cloud.post(f"/videos/{video_id}/playback")) is None
    yield
    assert link.follow().body == cast.film
    assert beginning.let_in().status_code == 200
    assert link_of(world, beginning.buyer, video_id).follow().body == cast.film
    assert link_of(world, watching.buyer, video_id).follow().body == cast.film
    assert link.follow().status == 200


def signs_with_another_secret(world: World, cast: Cast) -> Iterator[None]:
    """The new one is written down and nothing was signed with it: what the last one signed still holds."""
    course, video_id = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().status_code == 200
    link = link_of(world, purchase.buyer, video_id)
    world.cloud.stop()
    world.node_sql("UPDATE playback_secrets SET made_at = made_at - ?", LONGER_THAN_A_SECRET_S)
    before = world.node_sql("SELECT max(number) FROM playback_secrets")
    yield
    yield
    assert link.follow().body == cast.film
    assert len(world.node_sql("SELECT number FROM playback_secrets")) == 2
    assert world.node_sql("SELECT min(number) FROM playback_secrets") == before
    later = link_of(world, purchase.buyer, video_id)
    assert later.token[:6] != link.token[:6]  # where the secret's number is
    assert [one.follow().status for one in (link, later)] == [200, 200]


SCENARIOS: dict[str, Scenario] = {
    "playback_secret.replaced": signs_with_another_secret,
}
