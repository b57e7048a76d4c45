"""The payment simulator by itself: a provider with an API, a page to pay on, and a memory."""

import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.processes import free_port, run
from tests.simulator import Simulator

ORDER = {"reference": "order-1", "amount": 12_345, "currency": "EGP", "title": "<script>alert(1)</script>"}


@pytest.fixture
def merchant(simulator: Simulator, secrets_folder: Path) -> httpx.Client:
    secret = (secrets_folder / "simulator_secret").read_text()
    return httpx.Client(base_url=simulator.url, headers={"Authorization": f"Bearer {secret}"})


def start(merchant: httpx.Client, **changes: Any) -> Any:
    response = merchant.post("/checkouts", json=ORDER | changes)
    assert response.status_code == 200, response.text
    return response.json()


def test_one_reference_is_one_checkout_at_its_first_price(merchant: httpx.Client) -> None:
    first = start(merchant, reference="same")
    assert (first["status"], first["amount"], first["currency"]) == ("pending", 12_345, "EGP")
    assert start(merchant, reference="same", amount=1) == first


def test_a_checkout_is_paid_or_failed_once(merchant: httpx.Client) -> None:
    for number, outcome in enumerate(("paid", "failed")):
        checkout = start(merchant, reference=f"once-{number}")
        for asked in (outcome, "paid", "failed"):
            assert httpx.post(f"{checkout['url']}/{asked}").status_code == 303
        assert merchant.get(f"/checkouts/{checkout['id']}").json()["status"] == outcome


def test_the_page_shows_what_is_paid_for_and_escapes_the_title(merchant: httpx.Client) -> None:
    checkout = start(merchant, reference="page")
    page = httpx.get(checkout["url"]).text
    assert "123.45 EGP" in page
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert 'action="' in page
    httpx.post(f"{checkout['url']}/failed")
    assert "<form" not in httpx.get(checkout["url"]).text


def outcome(merchant: httpx.Client, checkout: Any, wanted: str) -> str:
    """What the checkout is after this was tried on its page."""
    assert httpx.post(f"{checkout['url']}/{wanted}").status_code == 303
    status: str = merchant.get(f"/checkouts/{checkout['id']}").json()["status"]
    return status


def test_what_was_paid_can_be_disputed_and_the_dispute_won_or_lost(merchant: httpx.Client) -> None:
    for end in ("paid", "refunded"):
        checkout = start(merchant, reference=f"disputed-{end}")
        assert outcome(merchant, checkout, "disputed") == "pending"
        for step in ("paid", "disputed", end):
            assert f'action="{checkout["id"]}/{step}"' in httpx.get(checkout["url"]).text
            assert outcome(merchant, checkout, step) == step
        assert outcome(merchant, checkout, "failed") == end


def test_the_merchant_refunds_what_was_paid_as_often_as_asked(merchant: httpx.Client) -> None:
    for number, step in enumerate(("paid", "disputed")):
        checkout = start(merchant, reference=f"refund-{number}")
        refused = merchant.post(f"/checkouts/{checkout['id']}/refund")
        assert (refused.status_code, refused.json()["code"]) == (409, "checkout_not_paid")
        for before in ("paid", step):
            outcome(merchant, checkout, before)
        for _ in range(2):
            assert merchant.post(f"/checkouts/{checkout['id']}/refund").json()["status"] == "refunded"
        assert outcome(merchant, checkout, "paid") == "refunded"


def test_books_of_before_there_were_refunds_are_read_on(secrets_folder: Path, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "simulator.sqlite3")
    with database:
        database.execute(
            "CREATE TABLE checkouts (id TEXT PRIMARY KEY, reference TEXT NOT NULL UNIQUE, amount INTEGER NOT NULL,"
            " currency TEXT NOT NULL, title TEXT NOT NULL,"
            " status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'paid', 'failed')))"
        )
        database.execute("INSERT INTO checkouts VALUES ('old', 'order-1', 100, 'EGP', 'The oud', 'paid')")
    database.close()
    simulator = Simulator(tmp_path, secrets_folder)
    for _ in range(2):
        simulator.start()
        headers = {"Authorization": f"Bearer {(secrets_folder / 'simulator_secret').read_text()}"}
        refunded = httpx.post(f"{simulator.url}/checkouts/old/refund", headers=headers).json()
        assert (refunded["status"], refunded["amount"]) == ("refunded", 100)
        simulator.stop()


def test_only_the_merchant_uses_the_api(simulator: Simulator) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        for response in (
            httpx.post(f"{simulator.url}/checkouts", json=ORDER, headers=headers),
            httpx.get(f"{simulator.url}/checkouts/x", headers=headers),
            httpx.post(f"{simulator.url}/checkouts/x/refund", headers=headers),
        ):
            assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_a_checkout_that_is_not_there_is_404_everywhere(merchant: httpx.Client) -> None:
    paths = ("/pay/x/paid", "/pay/x/disputed", "/checkouts/x/refund")
    for response in (merchant.get("/checkouts/x"), merchant.get("/pay/x"), *map(merchant.post, paths)):
        assert (response.status_code, response.json()["code"]) == (404, "checkout_not_found")


@pytest.mark.parametrize("change", [{"amount": 0}, {"amount": -1}, {"currency": "egp"}, {"status": "paid"}])
def test_an_odd_order_is_refused(merchant: httpx.Client, change: dict[str, Any]) -> None:
    assert merchant.post("/checkouts", json=ORDER | {"reference": "odd"} | change).status_code == 422


def test_it_refuses_production(secrets_folder: Path, tmp_path: Path) -> None:
    environment = {
        "TOPTANK_ENVIRONMENT": "production",
        "TOPTANK_DATA_DIR": str(tmp_path),
        "TOPTANK_SIMULATOR_PORT": str(free_port()),
        "TOPTANK_SIMULATOR_SECRET_FILE": str(secrets_folder / "simulator_secret"),
    }
    ended = run("vps_service.simulator", environment=environment)
    assert (ended.returncode, ended.stderr) == (1, "toptank: the payment simulator refuses to run in production\n")
