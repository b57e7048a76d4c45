"""The payment simulator by itself: a provider with an API, a page to pay on, and a memory."""

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
    httpx.post(f"{checkout['url']}/paid")
    assert "<form" not in httpx.get(checkout["url"]).text


def test_only_the_merchant_uses_the_api(simulator: Simulator) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        for response in (
            httpx.post(f"{simulator.url}/checkouts", json=ORDER, headers=headers),
            httpx.get(f"{simulator.url}/checkouts/x", headers=headers),
        ):
            assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


def test_a_checkout_that_is_not_there_is_404_everywhere(merchant: httpx.Client) -> None:
    for response in (merchant.get("/checkouts/x"), merchant.get("/pay/x"), merchant.post("/pay/x/paid")):
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
