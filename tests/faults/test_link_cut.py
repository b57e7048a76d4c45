"""The link between a node and the VPS is cut, in every way: what is known is served for a stated time, then 503.

Never 403 for "I cannot know"; and when the link is back, everything is as the VPS has it, with no hand on the node.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.both.people import done, make_student, refused
from tests.both.toptank import eventually
from tests.both.wire import upload
from tests.faults.acts import Cast, Purchase, answered, buy, written_down
from tests.faults.audit import is_fresh
from tests.faults.link import Link
from tests.faults.world import STARTING_S, WATCHING_S, World

pytestmark = pytest.mark.usefixtures("audited")

CUTS: dict[str, Callable[[Link], None]] = {
    "silently": Link.cut,
    "loudly": Link.refuse,
    "for what the node says": lambda link: link.cut("to_vps"),
    "for what the VPS says": lambda link: link.cut("to_node"),
}


def unknown(response: httpx.Response, *codes: str) -> None:
    """It says that it cannot know, and when to ask again."""
    assert (response.status_code, response.json()["code"] in codes) == (503, True), response.content
    assert int(response.headers["retry-after"]) > 0


def until_refused(watch: Callable[[], httpx.Response], within_s: float) -> float:
    """Watches on until that is a 503, which it has to be in this time; after how many seconds it was."""
    began = time.monotonic()
    while (response := watch()).status_code in (200, 206):
        assert time.monotonic() - began < within_s, "served for longer than it may be"
        time.sleep(0.1)
    unknown(response, "rights_unknown")
    return time.monotonic() - began


@pytest.mark.parametrize("way", CUTS)
def test_what_is_known_is_served_for_its_time_and_all_heals_by_itself(world: World, cast: Cast, way: str) -> None:
    (course, video_id), (unloved, unloved_video) = cast.course_on_sale(), cast.course_on_sale()
    watching, starting, refunded = (cast.buyer_of(course) for _ in range(3))
    stranger = make_student(world)
    for purchase in (watching, refunded):
        assert purchase.let_in().status_code == 200
    assert answered(lambda: cast.teacher.watch(unloved_video)).status_code == 200
    unheard = cast.buyer_of(course)
    is_fresh(world, world.cloud)
    CUTS[way](world.link)
    cast.refund(refunded)
    assert watching.watch().status_code == 200
    assert refunded.watch().status_code in (200, 503)  # whether or not somebody could tell the node
    lesson = course.add_lesson()
    world.ledger.doubted.add(unloved.id)  # what was sent into the cut may arrive once that is healed
    with ThreadPoolExecutor(5) as pool:  # each is given up after two seconds
        asked = [pool.submit(one.watch, video_id) for one in (unheard.buyer, starting.buyer, stranger)]
        asked.append(pool.submit(cast.teacher.upload, lesson, cast.film))
        asked.append(pool.submit(cast.teacher.cloud.delete, f"/videos/{unloved_video}"))
        for one in asked:
            unknown(one.result(), "vps_unreachable", "rights_unknown")
    assert cast.teacher.watch(unloved_video).status_code == watching.watch().status_code == 200
    until_refused(watching.watch, WATCHING_S + 5)
    unknown(refunded.watch(), "rights_unknown", "vps_unreachable")
    unknown(stranger.watch(video_id), "rights_unknown", "vps_unreachable")
    world.link.heal()
    for purchase in (watching, starting, unheard):
        eventually(lambda purchase=purchase: purchase.watch().status_code == 200)  # type: ignore[misc]
    eventually(lambda: refunded.watch().status_code == 403)
    refused(answered(lambda: stranger.watch(video_id)), 403, "key_required")


def test_whoever_begins_to_watch_is_trusted_for_less_long(world: World, cast: Cast) -> None:
    """The same right, asked for by one who has been watching and by one who has not for a while."""
    course, _ = cast.course_on_sale()
    second, _ = cast.course_on_sale()
    buyer = make_student(world)
    going_on, anew = buy(world, buyer, course), buy(world, buyer, second)
    assert going_on.let_in().status_code == anew.let_in().status_code == 200
    world.cloud.restart(TOPTANK_TRUST_WATCHING_S=str(WATCHING_S + 12))  # nobody is watching any more
    try:
        is_fresh(world, world.cloud)
        assert going_on.let_in().status_code == 200
        world.link.cut()
        began = time.monotonic()
        while time.monotonic() - began < STARTING_S + 1:
            assert going_on.watch().status_code == 200
            time.sleep(0.1)
        unknown(anew.watch(), "rights_unknown", "vps_unreachable")
        assert going_on.watch().status_code == 200
    finally:
        world.link.heal()
        world.cloud.restart()


def test_an_announcement_whose_answer_is_lost_counts_once(world: World, cast: Cast) -> None:
    course = cast.draft()
    with upload(world.cloud.url, cast.teacher.token, course.lesson_id, len(cast.film)) as wire:
        wire.send(cast.film[:-1])
        eventually(lambda: world.scratch)  # so rights were asked for before the answers stop
        world.link.cut("to_node")
        answer = wire.send(cast.film[-1:]).answer()
    assert answer.status == 201
    video = httpx.Response(201, content=answer.body).json()
    written_down(world, video, cast.film)
    eventually(lambda: course.video_ids() == [video["id"]])
    assert world.node_sql("SELECT count(*) FROM outbox") == [(1,)]
    world.link.reset_connections()
    world.link.heal()
    eventually(lambda: not world.node_sql("SELECT * FROM outbox"))
    assert world.sql("SELECT count(*) FROM videos WHERE lesson_id = %s", course.lesson_id) == [(1,)]


def test_a_link_of_thirty_seconds_delay_holds_up_nobody_who_is_known(world: World, cast: Cast) -> None:
    """Calls are given up after two seconds each, many at once as well; the rest of the node does not notice."""
    course, video_id = cast.course_on_sale()
    known = cast.buyer_of(course)
    assert known.let_in().status_code == 200
    strangers = [make_student(world) for _ in range(20)]
    world.link.delay(30)
    with ThreadPoolExecutor(len(strangers)) as pool:
        asked = [pool.submit(stranger.watch, video_id) for stranger in strangers]
        assert known.watch().status_code == 200
        assert world.http.get(f"{world.cloud.url}/health/live").status_code == 200
        for one in asked:
            unknown(one.result(), "vps_unreachable", "rights_unknown")
    world.link.heal()
    eventually(lambda: strangers[0].watch(video_id).status_code == 403)


def test_over_a_link_that_is_merely_slow_everything_goes_on(world: World, cast: Cast) -> None:
    world.link.delay(0.2)
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.let_in().content == cast.film
    cast.refund(purchase)
    eventually(lambda: purchase.watch().status_code == 403)


def test_a_vps_that_hangs_is_a_link_that_is_cut(world: World, cast: Cast) -> None:
    course, video_id = cast.course_on_sale()
    known, late = cast.buyer_of(course), make_student(world)
    assert known.let_in().status_code == 200
    is_fresh(world, world.cloud)
    world.vps.freeze()
    assert known.watch().status_code == 200
    unknown(late.watch(video_id), "vps_unreachable", "rights_unknown")
    until_refused(known.watch, WATCHING_S + 5)
    world.vps.thaw()
    eventually(lambda: known.watch().status_code == 200)
    refused(answered(lambda: late.watch(video_id)), 403, "key_required")


def test_a_buyer_is_never_refused_by_what_was_true_before(world: World, cast: Cast) -> None:
    """Refused a moment ago, which the node remembers; the address that comes with the key opens all the same."""
    course, video_id = cast.course_on_sale()
    buyer = make_student(world)
    refused(answered(lambda: buyer.watch(video_id)), 403, "key_required")
    purchase: Purchase = buy(world, buyer, course)
    assert purchase.let_in().content == cast.film
    assert done(buyer.vps.get(f"/courses/{course.id}/key"))["key"]["status"] == "active"
