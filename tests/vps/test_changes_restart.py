"""When a node has to start again: another epoch, too long away, and above all a database that was set back."""

from datetime import timedelta
from uuid import uuid4

import pytest

from shared.contract import ACCESS, AccessQuestion
from tests.vps.feed import announce, follower, pull
from tests.vps.people import done
from tests.vps.running import Vps
from vps_service import changes

pytestmark = pytest.mark.anyio


async def set_back(vps: Vps, to: int) -> None:
    """As a restore from a backup does: the newest changes were never made, and the counter knows nothing of them."""
    old = await vps.row("SELECT mark FROM changes WHERE number = :to", to=to)
    await vps.rows("DELETE FROM changes WHERE number > :to", to=to)
    await vps.rows("UPDATE change_counter SET last = :to, mark = :mark", to=to, mark=old["mark"])


async def epoch(vps: Vps) -> str:
    return str((await vps.row("SELECT epoch FROM change_counter"))["epoch"])


async def grow_old(vps: Vps, up_to: int) -> None:
    older = "UPDATE changes SET created_at = created_at - interval '30 days' WHERE number <= :up_to"
    await vps.rows(older, up_to=up_to)


async def trim(vps: Vps, days: float = 14) -> int:
    async with vps.sessions() as session, session.begin():
        return await changes.trim(session, timedelta(days=days))


async def test_a_position_of_another_epoch_starts_again(vps: Vps) -> None:
    await announce(vps, 3)
    node = await follower(vps.node)
    for odd in ({"after": 3, "epoch": uuid4(), "mark": node.mark}, {"after": 3, "mark": node.mark}, {"after": 0}):
        answer = await pull(vps.node, **odd)
        assert (answer["reset"], answer["head"], answer["epoch"]) == (True, 3, node.epoch)


async def test_a_node_ahead_of_a_database_that_was_set_back_makes_a_new_epoch(vps: Vps) -> None:
    await announce(vps, 5)
    node, before = await follower(vps.node), await epoch(vps)
    await set_back(vps, 3)
    answer = await node.follow()
    assert (answer["reset"], node.number, node.resets) == (True, 3, 2)
    assert node.epoch == await epoch(vps) != before
    await announce(vps)
    await node.follow()
    assert (node.numbers, node.resets) == ([4], 2)


async def test_a_database_set_back_and_grown_past_the_node_is_known_by_the_mark(vps: Vps) -> None:
    await announce(vps, 5)
    node, before = await follower(vps.node), await epoch(vps)
    await set_back(vps, 3)
    await announce(vps, 4)
    answer = await node.follow()
    assert (answer["reset"], answer["head"]) == (True, 7)
    assert node.epoch == await epoch(vps) != before


async def test_a_database_set_back_and_grown_to_the_very_number_is_known_by_the_mark(vps: Vps) -> None:
    await announce(vps, 5)
    node, before = await follower(vps.node), await epoch(vps)
    await set_back(vps, 4)
    await announce(vps)
    assert (await node.follow())["reset"] is True
    assert node.epoch == await epoch(vps) != before


async def test_a_new_epoch_is_one_for_all_nodes_and_reaches_those_that_noticed_nothing(vps: Vps) -> None:
    await announce(vps, 5)
    ahead, behind = await follower(vps.node), await follower(vps.node)
    behind.number = 2
    behind.mark = str((await vps.row("SELECT mark FROM changes WHERE number = 2"))["mark"])
    await set_back(vps, 3)
    assert [item["number"] for item in (await behind.follow())["items"]] == [3]
    for node in (ahead, behind):
        assert (await node.follow())["reset"] is True
    assert ahead.epoch == behind.epoch == await epoch(vps)
    for node in (ahead, behind):
        assert (await node.follow())["reset"] is False


async def test_answers_say_the_new_epoch_once_it_was_noticed(vps: Vps) -> None:
    await announce(vps, 5)
    node = await follower(vps.node)
    await set_back(vps, 3)
    await node.follow()
    question = AccessQuestion(user_id=uuid4(), generation=0, video_id=uuid4())
    assert done(await vps.node.post(ACCESS, question))["as_of"] == {"epoch": node.epoch, "number": 3}


async def test_a_node_behind_what_was_trimmed_starts_again_in_the_same_epoch(vps: Vps) -> None:
    await announce(vps, 2)
    node = await follower(vps.node)
    await announce(vps, 4)
    await grow_old(vps, 4)
    assert await trim(vps) == 4
    answer = await node.follow()
    assert (answer["reset"], answer["head"], node.resets) == (True, 6, 2)
    assert answer["epoch"] == await epoch(vps) == node.epoch
    await announce(vps)
    await node.follow()
    assert node.numbers == [7]


async def test_a_node_ahead_of_what_was_trimmed_just_goes_on(vps: Vps) -> None:
    await announce(vps, 4)
    node = await follower(vps.node)
    await announce(vps)
    await grow_old(vps, 3)
    assert await trim(vps) == 3
    await node.follow()
    assert (node.numbers, node.resets) == ([5], 1)


async def test_only_what_is_old_enough_is_trimmed_and_numbers_go_on(vps: Vps) -> None:
    await announce(vps, 3)
    assert await trim(vps) == 0
    await grow_old(vps, 3)
    assert await trim(vps, days=31) == 0
    assert await trim(vps, days=29) == 2  # the newest stays, for the nodes that are there
    await announce(vps)
    assert [row["number"] for row in await vps.rows("SELECT number FROM changes ORDER BY number")] == [3, 4]


async def test_after_a_quiet_month_a_node_at_the_head_is_told_nothing_and_stays(vps: Vps) -> None:
    await announce(vps, 3)
    node = await follower(vps.node)
    await grow_old(vps, 3)
    await trim(vps)
    assert (await node.follow())["reset"] is False


async def test_the_first_change_after_a_quiet_month_is_told_like_any_other(vps: Vps) -> None:
    await announce(vps, 3)
    node = await follower(vps.node)
    await grow_old(vps, 3)
    await trim(vps)
    await announce(vps)
    await node.follow()
    assert (node.numbers, node.resets) == ([4], 1)


async def test_the_very_first_change_is_told_like_any_other(vps: Vps) -> None:
    node = await follower(vps.node)
    await announce(vps)
    await node.follow()
    assert (node.numbers, node.resets) == ([1], 1)


async def test_a_position_without_its_mark_does_not_end_the_epoch_for_everybody(vps: Vps) -> None:
    await announce(vps, 3)
    node = await follower(vps.node)
    await pull(vps.node, after=3, epoch=node.epoch)
    assert await epoch(vps) == node.epoch
