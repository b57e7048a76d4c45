"""Webhooks of the payment provider: believed only as a reason to ask, taken only when signed, and never lost."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from psycopg import sql
from sqlalchemy.engine import make_url

from tests.databases import execute
from tests.processes import Process, free_port
from tests.settings import vps_environment, vps_settings
from tests.simulator import Simulator
from tests.vps.people import (
    Person,
    announced,
    done,
    make_student,
    make_teacher,
    order,
    pay,
    price,
    published_course,
    refused,
    verify,
)
from tests.vps.running import Vps, running
from tests.vps.webhooks import PATH, body_about, headers_for, hook, ref_of, secret_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("simulator")]


async def ordered(vps: Vps) -> tuple[Person, dict[str, Any]]:
    teacher, student = await make_teacher(vps), await make_student(vps)
    return student, done(await order(student, await published_course(vps, teacher)), 201)


async def statuses(vps: Vps) -> list[str]:
    return [row["status"] for row in await vps.rows("SELECT status FROM payments ORDER BY id")]


async def nothing_happened(vps: Vps) -> None:
    assert await statuses(vps) == ["pending"]
    for table in ("keys", "ledger_entries"):
        assert await vps.rows(f"SELECT 1 FROM {table}") == [], table
    assert await announced(vps, "key_granted") == []


async def test_a_webhook_settles_what_the_provider_says_is_paid(vps: Vps) -> None:
    student, payment = await ordered(vps)
    done(await hook(vps, ref_of(payment)), 204)  # too early: the provider calls it pending
    await nothing_happened(vps)
    await pay(payment)
    done(await hook(vps, ref_of(payment)), 204)
    assert await statuses(vps) == ["paid"]
    assert done(await student.get("/api/keys"))["items"][0]["status"] == "active"


async def test_fifty_copies_and_fifty_other_events_at_once_are_one_grant(vps: Vps) -> None:
    student, payment = await ordered(vps)
    await pay(payment)
    copies = [hook(vps, ref_of(payment)) for _ in range(50)]
    events = [hook(vps, ref_of(payment), f"evt_{number}") for number in range(50)]
    answers = await asyncio.gather(*copies, *events, *(verify(student, payment) for _ in range(10)))
    assert {answer.status_code for answer in answers} <= {200, 204, 503}  # so many at once may wait too long
    done(await hook(vps, ref_of(payment)), 204)
    assert len(await vps.rows("SELECT 1 FROM keys")) == 1
    assert len(await vps.rows("SELECT 1 FROM ledger_entries")) == 3
    assert len(await announced(vps, "key_granted")) == 1


@pytest.mark.parametrize("missing", ["Webhook-Id", "Webhook-Timestamp", "Webhook-Signature"])
@pytest.mark.parametrize("value", [None, "", "x", "v1,", "v1", "0", "-1", "1e9", "9" * 400, "\u0663"])
async def test_a_webhook_without_its_three_headers_is_refused(vps: Vps, missing: str, value: str | None) -> None:
    _, payment = await ordered(vps)
    await pay(payment)
    body = body_about(ref_of(payment))
    headers = httpx.Headers(headers_for(body, secret_of(vps)), encoding="utf-8")
    del headers[missing]
    if value is not None:
        headers[missing] = value
    refused(await vps.http.post(PATH, content=body, headers=headers), 401, "bad_webhook")
    await nothing_happened(vps)


async def test_a_webhook_signed_otherwise_is_refused(vps: Vps) -> None:
    _, payment = await ordered(vps)
    await pay(payment)
    secret, body = secret_of(vps), body_about(ref_of(payment))
    good = headers_for(body, secret)
    signature = good["webhook-signature"]
    forged = [
        headers_for(body, ""),
        headers_for(body, "another secret of the same length or so"),
        headers_for(body, secret.swapcase()),
        headers_for(body + b" ", secret),
        {**good, "webhook-id": "evt_2"},
        {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)},
        {**good, "webhook-signature": signature.removeprefix("v1,")},
        {**good, "webhook-signature": signature.replace("v1,", "v2,")},
        {**good, "webhook-signature": signature.lower()},
        {**good, "webhook-signature": signature[:-1]},
        {**good, "webhook-signature": "v1,"},
        {**good, "webhook-signature": "none"},
        {"authorization": f"Bearer {secret}"},
    ]
    for headers in forged:
        refused(await vps.http.post(PATH, content=body, headers=headers), 401, "bad_webhook")
    altered = body.replace(b'"id"', b'"iD"')
    refused(await vps.http.post(PATH, content=altered, headers=good), 401, "bad_webhook")
    await nothing_happened(vps)
    both = {**good, "webhook-signature": f"v1,bm90IHRoaXM= {signature}"}  # while the secret is being renewed
    done(await vps.http.post(PATH, content=body, headers=both), 204)
    assert await statuses(vps) == ["paid"]


async def test_an_old_webhook_is_not_taken_again(vps: Vps) -> None:
    _, payment = await ordered(vps)
    await pay(payment)
    body, now = body_about(ref_of(payment)), time.time()
    for at in (now - 3600, now - 301, now + 320, 0):
        old = headers_for(body, secret_of(vps), at=at)
        refused(await vps.http.post(PATH, content=body, headers=old), 401, "bad_webhook")
    await nothing_happened(vps)
    for at in (now - 240, now + 240):
        done(await vps.http.post(PATH, content=body, headers=headers_for(body, secret_of(vps), at=at)), 204)


async def test_a_signed_body_that_is_no_event_is_refused(vps: Vps) -> None:
    for body in (b"", b"{", b"[]", b"{}", b'{"id": "x"}', b'{"id": 1, "checkout": ["x"]}', b"\xff", b"[" * 5000):
        headers = headers_for(body, secret_of(vps))
        refused(await vps.http.post(PATH, content=body, headers=headers), 401, "bad_webhook")


async def test_what_a_webhook_says_is_not_believed(vps: Vps) -> None:
    _, payment = await ordered(vps)
    more = f'{{"id": "evt_1", "checkout": "{ref_of(payment)}", "status": "paid", "amount": 10000}}'.encode()
    done(await vps.http.post(PATH, content=more, headers=headers_for(more, secret_of(vps))), 204)
    await nothing_happened(vps)


async def test_a_checkout_that_is_not_ours_is_answered_and_forgotten(vps: Vps) -> None:
    for ref in ("unknown", "", "../../health/live", "x" * 5000, "a\nb"):
        done(await hook(vps, ref), 204)
    refused(await hook(vps, "\u0000"), 401, "bad_webhook")
    assert await announced(vps) == []


async def test_other_providers_are_not_listened_to(vps: Vps) -> None:
    body = body_about("x")
    for name in ("stripe", "Simulator", "%00"):
        answer = await vps.http.post(
            f"/api/payments/webhooks/{name}", content=body, headers=headers_for(body, secret_of(vps))
        )
        assert answer.json()["code"] in ("bad_webhook", "validation_failed")


@pytest.mark.settings(payment_provider="", simulator_secret=None)
async def test_a_platform_without_a_provider_takes_no_webhooks(vps: Vps) -> None:
    body = body_about("x")
    for secret in ("", "guessed"):
        refused(await vps.http.post(PATH, content=body, headers=headers_for(body, secret)), 401, "bad_webhook")


@pytest.mark.parametrize(("column", "value"), [("amount", 1), ("currency", "USD"), ("reference", "another order")])
async def test_a_charge_that_is_not_the_order_grants_nothing_and_is_not_sent_again(
    vps: Vps, simulator: Simulator, column: str, value: Any
) -> None:
    _, payment = await ordered(vps)
    await pay(payment)
    simulator.falsify(payment["id"], column, value if column != "reference" else f"x{payment['id']}")
    done(await hook(vps, ref_of(payment)), 204)
    await nothing_happened(vps)


async def test_without_the_provider_or_the_database_it_is_to_be_sent_again(
    database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    flaky = Simulator(tmp_path, secrets_folder)
    flaky.start()
    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=flaky.url)
    async with running(settings, secrets_folder) as vps:
        _, payment = await ordered(vps)
        await pay(payment)
        flaky.stop()
        refused(await hook(vps, ref_of(payment)), 503, "provider_unreachable")
        flaky.start()
        with without_connections(database_url):
            refused(await hook(vps, ref_of(payment)), 503, "database_unreachable")
        done(await hook(vps, ref_of(payment)), 204)
        assert await statuses(vps) == ["paid"]
        flaky.stop()


@contextmanager
def without_connections(url: str) -> Iterator[None]:
    """The database of this URL takes no connections, and the present ones are gone."""
    name = make_url(url).database or ""
    allow = "ALTER DATABASE {} ALLOW_CONNECTIONS {}"
    execute(url, sql.SQL(allow).format(sql.Identifier(name), sql.SQL("false")))
    terminate = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = {}"
    execute(url, sql.SQL(terminate).format(sql.Literal(name)))
    try:
        yield
    finally:
        execute(url, sql.SQL(allow).format(sql.Identifier(name), sql.SQL("true")))


# --- an answer that is overtaken ----------------------------------------------------------------------------


class SlowWire:
    """Between the VPS and its provider: the next answer can be held back while later ones pass."""

    def __init__(self, provider_url: str) -> None:
        self._provider = provider_url
        self.hold, self.held, self.let_go = False, asyncio.Event(), asyncio.Event()
        self.url = ""

    async def start(self) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
        fields = {name.lower(): value for name, value in fields.items()}
        content = await reader.readexactly(int(fields.get("content-length", 0)))
        method, target, _ = head.split(" ", 2)
        kept = {name: value for name, value in fields.items() if name in ("authorization", "content-type")}
        async with httpx.AsyncClient(trust_env=False) as http:
            answer = await http.request(method, self._provider + target, content=content, headers=kept)
        if self.hold:
            self.hold = False
            self.held.set()
            await self.let_go.wait()
        lines = [f"HTTP/1.1 {answer.status_code} X", f"content-length: {len(answer.content)}", "connection: close"]
        writer.write("\r\n".join([*lines, "", ""]).encode() + answer.content)
        await writer.drain()
        writer.close()


@pytest.mark.parametrize(("first", "then"), [("paid", "disputed"), ("disputed", "paid"), ("paid", "refunded")])
async def test_an_answer_that_was_overtaken_by_a_later_one_changes_nothing(
    database_url: str, secrets_folder: Path, tmp_path: Path, simulator: Simulator, first: str, then: str
) -> None:
    wire = SlowWire(simulator.url)
    async with await wire.start():
        settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=wire.url)
        async with running(settings, secrets_folder) as vps:
            student, payment = await ordered(vps)
            await pay(payment, "paid")
            done(await hook(vps, ref_of(payment)), 204)
            await pay(payment, first)
            wire.hold = True
            slow = asyncio.create_task(hook(vps, ref_of(payment)))
            await wire.held.wait()
            await pay(payment, then)
            done(await hook(vps, ref_of(payment)), 204)
            wire.let_go.set()
            done(await slow, 204)
            assert await statuses(vps) == [then]
            live = [key["status"] for key in done(await student.get("/api/keys"))["items"]]
            assert live == ["active" if then == "paid" else "void"]


# --- the simulator, sending ---------------------------------------------------------------------------------


async def eventually(happened: Callable[[], Awaitable[bool]]) -> None:
    for _ in range(600):
        if await happened():
            return
        await asyncio.sleep(0.1)
    raise AssertionError("it never happened")


async def test_what_is_paid_while_the_vps_is_dead_is_heard_of_when_it_is_back(
    database_url: str, secrets_folder: Path, tmp_path: Path
) -> None:
    port = free_port()
    telling = Simulator(tmp_path, secrets_folder, f"http://127.0.0.1:{port}{PATH}")
    telling.start()
    environment = vps_environment(database_url, secrets_folder, tmp_path)
    environment |= {"TOPTANK_SIMULATOR_URL": telling.url, "TOPTANK_VPS_PORT": str(port)}
    settings = vps_settings(database_url, secrets_folder, tmp_path, simulator_url=telling.url)
    async with running(settings, secrets_folder) as vps:  # looks on; the one that is told is another process
        teacher, student = await make_teacher(vps), await make_student(vps)
        course = await published_course(vps, teacher, 5_000)
        payment = done(await order(student, course), 201)
        await pay(payment)
        await asyncio.sleep(1)
        assert telling.unsent_webhooks() == 1
        telling.stop()
        telling.start()
        with ExitStack() as ended:
            process = Process("vps_service", port, environment, tmp_path / "vps.log")
            ended.callback(process.stop)

            async def is_known() -> bool:
                return await statuses(vps) == ["paid"] and telling.unsent_webhooks() == 0

            await eventually(is_known)
            with without_connections(database_url):
                await pay(payment, "disputed")
                await asyncio.sleep(1)
                assert telling.unsent_webhooks() == 1

            async def is_disputed() -> bool:
                return await statuses(vps) == ["disputed"] and telling.unsent_webhooks() == 0

            await eventually(is_disputed)
        assert done(await teacher.get("/api/auth/me"))["balance"] == price(0)
    telling.stop()
