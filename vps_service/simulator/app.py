"""A payment provider for trying things out: a process of its own, with an API, a checkout page and no money."""

import asyncio
import html
import secrets
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Literal

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from shared import problems
from shared.logs import RequestLog
from vps_service.simulator.checkouts import Checkouts
from vps_service.simulator.schemas import CheckoutAsked, CheckoutState
from vps_service.simulator.settings import SimulatorSettings
from vps_service.simulator.webhooks import send_webhooks

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(HTTPBearer(auto_error=False))]

PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Payment simulator</title>
<meta name="viewport" content="width=device-width"><style>body{{font:1rem sans-serif;max-width:26rem;margin:4rem auto}}
button{{font:inherit;padding:.5rem 1rem}}form{{display:inline}}</style>
<h1>Payment simulator</h1><p>{title}</p><p><strong>{amount} {currency}</strong>, {status}</p>{buttons}</html>"""
BUTTON = '<form method="post" action="{id}/{outcome}"><button>{label}</button></form>\n'
LABELS = {
    "pending": {"paid": "Pay", "failed": "Decline"},
    "paid": {"disputed": "Dispute"},
    "disputed": {"paid": "The merchant was right", "refunded": "The buyer was right"},
}
"""What can be done on the page, by what the checkout is."""


class CheckoutNotFound(problems.NotFound):
    code, title = "checkout_not_found", "There is no such checkout"


class CheckoutNotPaid(problems.Conflict):
    code, title = "checkout_not_paid", "Nothing was paid that could be given back"


def create_app(settings: SimulatorSettings) -> FastAPI:
    checkouts = Checkouts(settings.data_dir / "simulator.sqlite3", announce=settings.vps_webhook_url is not None)
    secret = settings.simulator_secret.get_secret_value()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if settings.vps_webhook_url is None:
            yield
            return
        sending = asyncio.create_task(send_webhooks(checkouts, settings.vps_webhook_url, secret))
        yield
        sending.cancel()
        with suppress(asyncio.CancelledError):
            await sending

    app = FastAPI(title="TopTank payment simulator", version="1", openapi_url=None, lifespan=lifespan)
    problems.install(app)
    app.add_middleware(RequestLog)

    def merchant(credentials: Credentials) -> None:
        given = credentials.credentials if credentials else ""
        if not secrets.compare_digest(given.encode(), secret.encode()):
            raise problems.NotAuthenticated

    def state(row: sqlite3.Row | None) -> CheckoutState:
        if row is None:
            raise CheckoutNotFound
        return CheckoutState(
            id=row["id"],
            reference=row["reference"],
            amount=row["amount"],
            currency=row["currency"],
            status=row["status"],
            url=f"{settings.simulator_public_url}/pay/{row['id']}",
        )

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "ok"}

    @app.post("/checkouts", dependencies=[Depends(merchant)])
    def start(asked: CheckoutAsked) -> CheckoutState:
        return state(checkouts.start(asked))

    @app.get("/checkouts/{checkout_id}", dependencies=[Depends(merchant)])
    def look_up(checkout_id: str) -> CheckoutState:
        return state(checkouts.get(checkout_id))

    @app.post("/checkouts/{checkout_id}/refund", dependencies=[Depends(merchant)])
    def refund(checkout_id: str) -> CheckoutState:
        checkouts.finish(checkout_id, "refunded")
        now = state(checkouts.get(checkout_id))
        if now.status != "refunded":
            raise CheckoutNotPaid
        return now

    @app.get("/pay/{checkout_id}", response_class=HTMLResponse)
    def page(checkout_id: str) -> str:
        row = checkouts.get(checkout_id)
        shown = state(row)
        assert row is not None
        return PAGE.format(
            title=html.escape(row["title"]),
            amount=f"{shown.amount / 100:.2f}",
            currency=shown.currency,
            status=shown.status,
            buttons="".join(
                BUTTON.format(id=shown.id, outcome=outcome, label=label)
                for outcome, label in LABELS.get(shown.status, {}).items()
            ),
        )

    @app.post("/pay/{checkout_id}/{outcome}")
    def finish(
        checkout_id: str, outcome: Literal["paid", "failed", "refunded", "disputed"], _: Request
    ) -> RedirectResponse:
        state(checkouts.get(checkout_id))
        checkouts.finish(checkout_id, outcome)
        return RedirectResponse(f"/pay/{checkout_id}", status_code=303)

    return app
