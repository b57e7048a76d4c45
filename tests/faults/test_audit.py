"""The audit itself: it sees what it is there to see."""

from collections.abc import Callable

import pytest

from tests.faults import audit
from tests.faults.acts import Cast
from tests.faults.world import World


@pytest.fixture(scope="module")
def bought(world: World, cast: Cast) -> str:
    """A payment of somebody who watches."""
    course, _ = cast.course_on_sale()
    purchase = cast.buyer_of(course)
    assert purchase.watch().status_code == 200
    audit.audit(world, cast)
    return purchase.payment_id


def a_key_is_lost(world: World) -> None:
    world.sql("UPDATE keys SET status = 'void'")


def a_payment_is_lost(world: World) -> None:
    world.ledger.paid.add("01a1fe2c-0000-7000-8000-000000000000")


def a_video_is_lost(world: World) -> None:
    world.ledger.stored["01a1fe2c-0000-7000-8000-000000000001"] = "0" * 64


def a_file_is_left_over(world: World) -> None:
    (world.cloud.folder / "media" / "scratch" / "half").touch()


def a_byte_is_wrong(world: World) -> None:
    path = next((world.cloud.folder / "media" / "videos").glob("*/*/original"))
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


SEEN_BY: list[tuple[Callable[[World], None], Callable[[World], None]]] = [
    (a_payment_is_lost, audit.acknowledged_writes_exist),
    (a_video_is_lost, audit.acknowledged_writes_exist),
    (a_byte_is_wrong, audit.files_and_rows_match),
    (a_file_is_left_over, World.check_nothing_left_over),
    (a_key_is_lost, audit.paid_is_one_live_key),
]


@pytest.mark.parametrize(("wrong", "check"), SEEN_BY)
def test_what_is_wrong_is_seen(
    world: World, bought: str, wrong: Callable[[World], None], check: Callable[[World], None]
) -> None:
    wrong(world)
    with pytest.raises(AssertionError):
        check(world)


def test_a_right_that_the_vps_would_not_give_is_seen(world: World, bought: str) -> None:
    """The keys are void by now, and the node was not told."""
    with pytest.raises(AssertionError):
        audit.remembered_rights_are_true(world, world.cloud)
