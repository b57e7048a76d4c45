"""What the VPS does by itself, and the figures that it shows."""

import time
from pathlib import Path
from typing import Any

import pytest

from shared.contract import CHANGES
from tests.settings import vps_settings
from tests.simulator import Simulator
from tests.vps.feed import announce
from tests.vps.nodes import another_node
from tests.vps.people import announced, done, make_student, make_teacher, order, pay, published_course, refused, verify
from tests.vps.running import NODE, Vps, running
from tests.vps.waiting import comes_true
from vps_service.nodes.actions import forget_spent_tokens

pytestmark = pytest.mark.anyio

# --- tidying ------------------------------------------------------------------------------------------------


async def test_spent_tokens_are_kept_until_nobody_could_accept_them(vps: Vps) -> None:
    token = vps.node.token("GET", CHANGES)
    done(await vps.node.send(token, "GET", CHANGES))
    now = int(time.time())
    for name, age in (("old", 75), ("just over", 15)):
        await vps.rows("INSERT INTO spent_tokens VALUES (:id, :at)", id=name, at=now - age)
    async with vps.sessions() as session, session.begin():
        await forget_spent_tokens(session)
    kept = {row["id"] for row in await vps.rows("SELECT id FROM spent_tokens")}
    assert "old" not in kept
    assert "just over" in kept
    refused(await vps.node.send(token, "GET", CHANGES), 401, "not_authenticated")


async def test_a_service_that_starts_forgets_spent_tokens_and_old_changes(vps: Vps) -> None:
    await vps.rows("INSERT INTO spent_tokens VALUES ('old', 1)")
    await announce(vps, 3)
    await vps.rows("UPDATE changes SET created_at = now() - interval '15 days' WHERE number < 3")

    async def tidied() -> bool:
        spent = await vps.rows("SELECT 1 FROM spent_tokens WHERE id = 'old'")
        numbers = [row["number"] for row in await vps.rows("SELECT number FROM changes")]
        return not spent and numbers == [3]

    async with running(vps.settings, vps.secrets):
        await comes_true(tidied)


async def test_a_service_that_starts_settles_what_was_paid_while_nobody_listened(
    vps: Vps, simulator: Simulator, database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    course = await published_course(vps, await make_teacher(vps))
    paid, young, unpaid = [
        done(await order(await make_student(vps, name), course), 201) for name in ("paid", "young", "unpaid")
    ]
    for payment in (paid, young):
        await pay(payment)
    older = "UPDATE payments SET created_at = created_at - interval '3 minutes' WHERE id IN (:a, :b)"
    await vps.rows(older, a=paid["id"], b=unpaid["id"])

    async def statuses() -> dict[str, str]:
        return {str(row["id"]): row["status"] for row in await vps.rows("SELECT id, status FROM payments")}

    async def settled() -> bool:
        return (await statuses())[paid["id"]] == "paid"

    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=simulator.url)
    async with running(settings, secrets_folder):
        await comes_true(settled)
    assert await statuses() == {paid["id"]: "paid", young["id"]: "pending", unpaid["id"]: "pending"}
    assert len(await vps.rows("SELECT 1 FROM keys WHERE status = 'active'")) == 1


async def test_a_service_that_starts_notices_refunds_that_no_webhook_told_of(
    vps: Vps, simulator: Simulator, database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    """As after a restore from a backup of before the refund."""
    course = await published_course(vps, await make_teacher(vps))
    buyers = [await make_student(vps, name) for name in ("refunded", "kept")]
    refunded, kept = [done(await order(buyer, course), 201) for buyer in buyers]
    for buyer, payment in zip(buyers, (refunded, kept), strict=True):
        await pay(payment)
        done(await verify(buyer, payment))
    await pay(refunded, "refunded")

    async def status_of(payment: dict[str, Any]) -> str:
        row = await vps.row("SELECT status FROM payments WHERE id = :id", id=payment["id"])
        return str(row["status"])

    async def noticed() -> bool:
        return await status_of(refunded) == "refunded"

    assert not await noticed()
    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=simulator.url)
    async with running(settings, secrets_folder):
        await comes_true(noticed)
    assert await status_of(kept) == "paid"
    keys = await vps.rows("SELECT user_id FROM keys WHERE status = 'active'")
    assert [row["user_id"] for row in keys] == [buyers[1].id]
    assert [change["user_id"] for change in await announced(vps, "key_refunded")] == [str(buyers[0].id)]


async def test_what_two_processes_do_at_once_is_done_once(
    vps: Vps, simulator: Simulator, database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    payment = done(await order(await make_student(vps), await published_course(vps, await make_teacher(vps))), 201)
    await pay(payment)
    await vps.rows("UPDATE payments SET created_at = created_at - interval '3 minutes'")

    async def settled() -> bool:
        return bool(await vps.rows("SELECT 1 FROM payments WHERE status = 'paid'"))

    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=simulator.url)
    async with running(settings, secrets_folder), running(settings, secrets_folder):
        await comes_true(settled)
    assert len(await vps.rows("SELECT 1 FROM keys")) == 1
    assert len(await vps.rows("SELECT 1 FROM changes WHERE kind = 'key_granted'")) == 1


# --- figures --------------------------------------------------------------------------------------------------


async def figures(vps: Vps) -> dict[str, float]:
    answer = await vps.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    lines = [line for line in answer.text.splitlines() if line.startswith("toptank_")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def test_the_figures_show_the_feed_and_how_each_node_is(vps: Vps) -> None:
    await announce(vps, 5)
    done(await vps.node.report(feed_position=5, outbox_depth=0))
    told = {"trust_age_s": 0.75, "outbox_depth": 3, "outbox_age_s": 12.5, "outbox_set_aside": 1}
    await another_node(vps, "node-2", feed_position=2, clock_skew_s=-4.5, bytes_free=7, **told)
    await vps.rows("UPDATE nodes SET seen_at = now() - interval '1 hour' WHERE id = 'node-2'")
    shown = await figures(vps)
    assert shown["toptank_feed_head"] == 5
    of = {name.partition("{")[0]: value for name, value in shown.items() if name.endswith('{node="node-2"}')}
    assert of.pop("toptank_node_seen_seconds") >= 3600
    assert of == {
        "toptank_node_feed_lag": 3,
        "toptank_node_trust_age_seconds": 0.75,
        "toptank_node_outbox_depth": 3,
        "toptank_node_outbox_age_seconds": 12.5,
        "toptank_node_outbox_set_aside": 1,
        "toptank_node_clock_skew_seconds": -4.5,
        "toptank_node_free_bytes": 7,
    }
    assert shown[f'toptank_node_feed_lag{{node="{NODE}"}}'] == 0
    assert 0 <= shown[f'toptank_node_seen_seconds{{node="{NODE}"}}'] < 3600


async def test_the_figures_name_no_person_and_no_secret(vps: Vps) -> None:
    student = await make_student(vps)
    said = (await vps.http.get("/metrics")).text
    assert str(student.id) not in said
    assert student.username not in said
